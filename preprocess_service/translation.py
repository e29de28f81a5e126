"""Between the protos and the service's vocabulary; places of an answer are taken back to the source image here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ocrmux.ocr.v1 import document_pb2, geometry_pb2, image_pb2, recognition_pb2
from ocrmux.preprocess.v1 import preprocess_pb2
from preprocess_service.errors import FieldInvalid
from preprocess_service.model import (
    IDENTITY,
    AppliedStep,
    Homography,
    NormalizedPage,
    PageMeasures,
    Size,
)
from rpc_runtime.stream_messages import Announcement

SHA256_BYTES = 32
MAX_REGIONS = 256
MAX_OVERRIDES = 64
MAX_TEXT_LENGTH = 1024


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """What is said of an item besides its file. Regions are in pixels of the source image."""

    regions: tuple[geometry_pb2.Rect, ...]
    password: str = field(default="", repr=False)


def announcement_of(item: preprocess_pb2.SourceItem) -> Announcement[SourceSpec]:
    """An item as it arrives."""
    refusal = _refusal(item)
    if refusal is not None:
        return Announcement(item.request_id, SourceSpec(()), content=b"", refusal=refusal)
    spec = SourceSpec(tuple(item.regions), item.password)
    match item.image.WhichOneof("source"):
        case "content":
            return Announcement(item.request_id, spec, content=item.image.content)
        case "digest":
            return Announcement(item.request_id, spec, digest=item.image.digest.value)
        case "chunked":
            return Announcement(item.request_id, spec, chunked_bytes=item.image.chunked.total_bytes)
        case _:
            return Announcement(item.request_id, spec)


def _refusal(item: preprocess_pb2.SourceItem) -> FieldInvalid | None:
    if len(item.regions) > MAX_REGIONS:
        return FieldInvalid("item.regions", f"{len(item.regions)} regions are given, {MAX_REGIONS} are allowed")
    if len(item.password) > MAX_TEXT_LENGTH:
        return FieldInvalid("item.password", f"a text of more than {MAX_TEXT_LENGTH} characters")
    digest = item.image.digest
    if item.image.WhichOneof("source") == "digest" and not (
        digest.algorithm == image_pb2.DIGEST_ALGORITHM_SHA256 and len(digest.value) == SHA256_BYTES
    ):
        return FieldInvalid(
            "item.image.digest", f"a digest is a SHA-256 of {SHA256_BYTES} bytes, with its algorithm said"
        )
    return None


def check_normalization(config: preprocess_pb2.NormalizationConfig) -> None:
    """Raises FieldInvalid for a config of more than a sane number of things."""
    if len(config.overrides) > MAX_OVERRIDES:
        raise FieldInvalid(
            "normalization.overrides", f"{len(config.overrides)} overrides are given, {MAX_OVERRIDES} are allowed"
        )
    if len(config.provider) > MAX_TEXT_LENGTH:
        raise FieldInvalid("normalization.provider", f"a name of more than {MAX_TEXT_LENGTH} characters")


def item_timeout_s(config: recognition_pb2.RecognitionConfig, *, default_s: float, max_s: float) -> float:
    """The time for each page, seconds. Raises FieldInvalid for a time that is not above zero."""
    if not config.HasField("item_timeout"):
        return default_s
    asked_s = config.item_timeout.seconds + config.item_timeout.nanos / 1e9
    if asked_s <= 0:
        raise FieldInvalid("recognition.item_timeout", "an item's time is above zero")
    return min(asked_s, max_s)


def facts_message(page: NormalizedPage) -> recognition_pb2.PageAnswer:
    """What an answer says of its page whatever was read on it."""
    return recognition_pb2.PageAnswer(
        page=page.number,
        page_count=page.page_count,
        last_page=page.number == page.page_count,
        transform=transform_message(page),
        steps=step_messages(page.steps),
        measures=measures_message(page.measures),
        provenance=recognition_pb2.Provenance(timings=recognition_pb2.Timings(preprocess_ms=page.preprocess_ms)),
    )


def relay_answer(
    answer: recognition_pb2.PageAnswer,
    request_id: str,
    page: NormalizedPage,
    facts: recognition_pb2.PageAnswer,
    *,
    total_ms: float,
) -> recognition_pb2.PageAnswer:
    """The gateway's answer for a page as the caller gets it: with the page's facts, its places taken to the source.

    ``answer`` itself is changed and returned.
    """
    answer.MergeFrom(facts)
    answer.last_page = facts.last_page  # merging takes over nothing that is false
    answer.request_id = request_id
    answer.provenance.timings.total_ms = total_ms
    if not answer.HasField("document"):
        return answer
    for document_page in answer.document.pages:
        document_page.number = page.number
        document_page.size.CopyFrom(_size_message(page.source_size))
        move_places(document_page, page.page_to_source)
    return answer


def empty_answer() -> recognition_pb2.PageAnswer:
    """The answer for a page on which nothing is to be read: a document without text, that no provider was asked for."""
    return recognition_pb2.PageAnswer(document=document_pb2.Document(pages=[document_pb2.Page()]))


def move_places(page: document_pb2.Page, to_other: Homography) -> None:
    """Takes every place on the page to another image."""
    if to_other == IDENTITY:
        return
    a, b, c, d, e, f, g, h, i = to_other.values
    for polygon in _polygons(page):
        for point in polygon.points:
            x, y = point.x, point.y
            w = g * x + h * y + i
            point.x = (a * x + b * y + c) / w
            point.y = (d * x + e * y + f) / w


def _polygons(page: document_pb2.Page) -> Iterator[geometry_pb2.Polygon]:
    for block in page.blocks:
        yield block.polygon
        for line in block.lines:
            yield line.polygon
            for word in line.words:
                yield word.polygon
    for table in page.tables:
        yield table.polygon
        for cell in table.cells:
            yield cell.polygon
    for named in page.fields:
        yield named.polygon


def transform_message(page: NormalizedPage) -> geometry_pb2.Transform:
    """What was done to the page's geometry."""
    return geometry_pb2.Transform(
        page_to_source=page.page_to_source.values,
        source_size=_size_message(page.source_size),
        page_size=_size_message(page.page_size),
    )


def step_messages(steps: Iterable[AppliedStep]) -> list[recognition_pb2.AppliedStep]:
    """What was done to the page."""
    return [recognition_pb2.AppliedStep(name=step.name, parameters=step.parameters) for step in steps]


def measures_message(measures: PageMeasures | None) -> recognition_pb2.PageMeasures | None:
    """What was measured on the page."""
    if measures is None:
        return None
    outline = measures.outline
    return recognition_pb2.PageMeasures(
        quarter_turns=measures.quarter_turns,
        skew_deg=measures.skew_deg,
        contrast=measures.contrast,
        noise=measures.noise,
        unevenness=measures.unevenness,
        text_height_px=measures.text_height_px,
        blur=measures.blur,
        outline=None
        if outline is None
        else geometry_pb2.Polygon(points=[geometry_pb2.Point(x=x, y=y) for x, y in outline]),
    )


def _size_message(size: Size) -> geometry_pb2.Size:
    return geometry_pb2.Size(width=size.width, height=size.height)


def page_message(page: NormalizedPage, *, inline: bool) -> preprocess_pb2.NormalizedPage:
    """A page of one part; without its content, which then follows in chunks, where it is not ``inline``."""
    (part,) = page.parts
    return preprocess_pb2.NormalizedPage(
        content=part.content if inline else b"",
        media_type=part.media_type,
        digest=image_pb2.ContentDigest(
            algorithm=image_pb2.DIGEST_ALGORITHM_SHA256, value=hashlib.sha256(part.content).digest()
        ),
        transform=transform_message(page),
        steps=step_messages(page.steps),
        measures=measures_message(page.measures),
        preprocess_ms=page.preprocess_ms,
        chunked_bytes=0 if inline else len(part.content),
    )


def limits_message(
    *, max_items: int, max_bytes: int, max_item_bytes: int, max_message_bytes: int
) -> recognition_pb2.StreamLimits:
    """What a stream's first answer states."""
    return recognition_pb2.StreamLimits(
        max_items_in_flight=max_items,
        max_bytes_in_flight=max_bytes,
        max_item_bytes=max_item_bytes,
        max_message_bytes=max_message_bytes,
    )
