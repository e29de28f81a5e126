"""What became of a page that was normalised: a record for programs and a row for people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ocrmux.ocr.v1.geometry_pb2 import Size
from ocrmux.ocr.v1.recognition_pb2 import PageMeasures
from ocrmux_client.normalized_image import NormalizedAnswer, NormalizedImage
from ocrmux_client.records import OK, json_line, measured_json, place_of, steps_json

_WHY = {"denoise": "noise", "illumination": "unevenness", "sharpen": "blur"}
"""Measures that are told where the step was applied that they are for."""
_ENCODE = "encode"


@dataclass(frozen=True, slots=True)
class NormalizationRecord:
    """One page of one source. ``page_number`` is 0 for an error of the source as a whole.

    ``status`` is ``OK`` or the gRPC code's name; ``image`` and ``file``, where it was written, are None on an error.
    """

    source: str
    page_number: int
    page_count: int | None
    status: str
    reason: str
    message: str
    image: NormalizedImage | None
    file: Path | None

    @classmethod
    def of(cls, source: str, answer: NormalizedAnswer, file: Path | None) -> NormalizationRecord:
        """The record of an answer for this source, its page written to ``file``."""
        error = answer.error
        status, reason, message = (OK, "", "") if error is None else (error.code.name, error.reason, error.message)
        return cls(source, answer.page, answer.page_count, status, reason, message, answer.image, file)

    @property
    def ok(self) -> bool:
        """Whether there is a page."""
        return self.status == OK

    @property
    def from_cache(self) -> bool:
        """Never: pages are made anew."""
        return False

    @property
    def place(self) -> str:
        """Source and page, for a person."""
        return place_of(self.source, self.page_number, self.page_count)

    @property
    def numbered(self) -> str:
        """The page's number and how many there are: "2/3"; a dash for the source as a whole."""
        if self.page_number == 0:
            return "-"
        return f"{self.page_number}/{self.page_count or '?'}"

    @property
    def measured(self) -> str:
        """What was measured, in a few words: "skew 2.1°, contrast 0.31, text 38 px"."""
        if self.image is None or self.image.measures is None:
            return ""
        steps = {step.name for step in self.image.steps}
        return ", ".join(_told(self.image.measures, {_WHY[step] for step in steps & _WHY.keys()}))

    @property
    def done(self) -> str:
        """What was done: the steps by name; "as it came" where nothing was."""
        if self.image is None:
            return f"{self.status} {self.reason}".rstrip()
        names = [step.name for step in self.image.steps]
        return ", ".join(name for name in names if name != _ENCODE) or ("encoded anew" if names else "as it came")

    @property
    def sizes(self) -> str:
        """The source's size and the page's, pixels: "2480x3508 → 2512x3540"; one where they are equal."""
        if self.image is None:
            return ""
        before, after = (
            f"{size.width}x{size.height}" for size in (self.image.transform.source_size, self.image.transform.page_size)
        )
        return before if before == after else f"{before} → {after}"

    @property
    def took(self) -> str:
        """Decoding and normalising."""
        return "" if self.image is None else f"{self.image.preprocess_ms:.0f} ms"

    def as_json(self) -> dict[str, Any]:
        """The record's JSON object; what is not known is null."""
        image = self.image
        record: dict[str, Any] = {
            "source": self.source,
            "page": self.page_number,
            "page_count": self.page_count,
            "status": self.status,
            "reason": self.reason or None,
            "file": None if self.file is None else str(self.file),
            "media_type": None if image is None else image.media_type,
            "page_size": None if image is None else _size(image.transform.page_size),
            "source_size": None if image is None else _size(image.transform.source_size),
            "page_to_source": None if image is None else list(image.transform.page_to_source),
            "steps": [] if image is None else steps_json(image.steps),
            "measures": None if image is None or image.measures is None else measured_json(image.measures),
            "preprocess_ms": None if image is None else round(image.preprocess_ms, 3),
            "bytes": None if image is None else len(image.content),
        }
        if not self.ok:
            record["message"] = self.message
        return record

    def as_line(self) -> str:
        """The record as one line of JSON, with its line feed."""
        return json_line(self.as_json())


def _told(measures: PageMeasures, besides: set[str]) -> Iterator[str]:
    if measures.HasField("outline"):
        yield "outline"
    if measures.quarter_turns:
        yield f"turned {90 * measures.quarter_turns}°"
    if measures.HasField("skew_deg"):
        yield f"skew {round(measures.skew_deg, 1) + 0.0:.1f}°"  # no -0.0
    if measures.HasField("contrast"):
        yield f"contrast {measures.contrast:.2f}"
    if measures.HasField("text_height_px"):
        yield f"text {measures.text_height_px:.0f} px"
    for field, value in measures.ListFields():
        if field.name in besides:
            yield f"{field.name} {value:.2g}"


def _size(size: Size) -> dict[str, int]:
    return {"width": size.width, "height": size.height}
