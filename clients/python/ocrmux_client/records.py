"""One record a page: what a program gets to read of an answer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format

from ocrmux.ocr.v1.document_pb2 import Page
from ocrmux.ocr.v1.recognition_pb2 import AppliedStep, CacheOutcome, PageAnswer, PageMeasures, Provenance
from ocrmux_client.errors import OcrMuxError

OK = "OK"
_MEASURED = ("quarter_turns", "skew_deg", "contrast", "noise", "unevenness", "text_height_px", "blur")
_STAGES = ("preprocess", "queue", "rate_limit", "provider", "total")


@dataclass(frozen=True, slots=True)
class PageRecord:
    """One page of one source. ``page_number`` is 0 for an error of the source as a whole.

    ``status`` is ``OK`` or the gRPC code's name; ``page`` is None on an error; ``page_count`` is None where it is not
    known. ``steps`` is what preprocessing did, in order; ``measures`` what it measured, or None. ``raw_response`` is
    the provider's own answer, empty where it was not wanted or there is none.
    """

    source: str
    page_number: int
    page_count: int | None
    status: str
    reason: str
    message: str
    page: Page | None
    provenance: Provenance
    steps: tuple[AppliedStep, ...]
    measures: PageMeasures | None
    raw_response: bytes = b""

    @classmethod
    def of(cls, source: str, answer: PageAnswer) -> PageRecord:
        """The record of an answer for this source."""
        status, reason, message, page = OK, "", "", None
        if answer.WhichOneof("outcome") == "error":
            error = OcrMuxError.from_status(answer.error)
            status, reason, message = error.code.name, error.reason, error.message
        else:
            page = answer.document.pages[0] if answer.document.pages else Page(number=answer.page)
        count = answer.page_count or (answer.page if answer.last_page else 0)
        return cls(
            source=source,
            page_number=answer.page,
            page_count=count or None,
            status=status,
            reason=reason,
            message=message,
            page=page,
            provenance=answer.provenance,
            steps=tuple(answer.steps),
            measures=answer.measures if answer.HasField("measures") else None,
            raw_response=answer.raw_response,
        )

    @property
    def ok(self) -> bool:
        """Whether the page was read."""
        return self.status == OK

    @property
    def confidence(self) -> float | None:
        """0..1, or None where none is stated."""
        return self.page.confidence if self.page is not None and self.page.HasField("confidence") else None

    @property
    def cache(self) -> str | None:
        """Where the result came from, or None where that is not known."""
        outcome = self.provenance.cache
        return CacheOutcome.Name(outcome).removeprefix("CACHE_OUTCOME_") if outcome else None

    @property
    def from_cache(self) -> bool:
        """Whether no provider was asked for this page's sake."""
        return self.cache not in {None, "MISS"}

    @property
    def place(self) -> str:
        """Source and page, for a person."""
        return place_of(self.source, self.page_number, self.page_count)

    def as_json(self) -> dict[str, Any]:
        """The record's JSON object; what is not known is null."""
        timings = self.provenance.timings
        record: dict[str, Any] = {
            "source": self.source,
            "page": self.page_number,
            "page_count": self.page_count,
            "status": self.status,
            "reason": self.reason or None,
            "text": self.page.text if self.page is not None else None,
            "confidence": None if self.confidence is None else round(self.confidence, 6),
            "document": None if self.page is None else {"pages": [_object(self.page)]},
            "provider": self.provenance.provider or None,
            "model": self.provenance.model or None,
            "cache": self.cache,
            "attempts": self.provenance.attempts,
            "fallbacks": [
                {"provider": passed.provider, "reason": passed.reason} for passed in self.provenance.fallbacks
            ],
            "billed_units": self.provenance.billed_units,
            "cost": self.provenance.cost,
            "currency": self.provenance.currency or None,
            "timings_ms": {stage: round(getattr(timings, f"{stage}_ms"), 3) for stage in _STAGES},
            "steps": steps_json(self.steps),
            "measures": None if self.measures is None else measured_json(self.measures),
        }
        if self.raw_response:
            record["raw_response"] = self.raw_response.decode(errors="replace")
        if not self.ok:
            record["message"] = self.message
        return record

    def as_line(self) -> str:
        """The record as one line of JSON, with its line feed."""
        return json_line(self.as_json())


def place_of(source: str, page_number: int, page_count: int | None) -> str:
    """Source and page, for a person."""
    if page_number == 0 or page_count == 1:
        return source
    return f"{source}, page {page_number}" + (f" of {page_count}" if page_count else "")


def json_line(record: Mapping[str, Any]) -> str:
    """The object as one line of JSON, with its line feed."""
    line = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    try:
        line.encode("utf-8")
    except UnicodeEncodeError:  # a file name that is not UTF-8
        line = json.dumps(record, separators=(",", ":"))
    return line + "\n"


def steps_json(steps: Iterable[AppliedStep]) -> list[dict[str, Any]]:
    """The steps in order, with their parameters."""
    return [{"name": step.name, "parameters": dict(sorted(step.parameters.items()))} for step in steps]


def measured_json(measures: PageMeasures) -> dict[str, Any]:
    """What was measured, by name; what could not be told is null."""
    known = {field.name: value for field, value in measures.ListFields()}
    told: dict[str, Any] = {name: round(known[name], 4) if name in known else None for name in _MEASURED}
    outline = [[round(point.x, 2), round(point.y, 2)] for point in measures.outline.points]
    return told | {"outline": outline or None}


def _object(page: Page) -> dict[str, Any]:
    message: dict[str, Any] = json_format.MessageToDict(
        page, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return message
