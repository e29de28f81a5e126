"""A page that was made fit for recognition, and the answer of a stream that tells of it."""

from __future__ import annotations

from dataclasses import dataclass

from ocrmux.ocr.v1.geometry_pb2 import Transform
from ocrmux.ocr.v1.recognition_pb2 import AppliedStep, PageMeasures
from ocrmux.preprocess.v1.preprocess_pb2 import NormalizedPage
from ocrmux_client.errors import OcrMuxError


@dataclass(frozen=True, slots=True)
class NormalizedImage:
    """One page, encoded.

    ``content`` is a file of ``media_type``, the source's own bytes where no step was needed. ``page`` counts from 1.
    ``transform`` has the sizes of source and page in pixels, and the way from one to the other. ``steps`` were applied
    in this order; ``measures`` is None where nothing was measured. ``preprocess_ms``: decoding and normalising.
    """

    content: bytes
    media_type: str
    page: int
    page_count: int
    transform: Transform
    steps: tuple[AppliedStep, ...]
    measures: PageMeasures | None
    preprocess_ms: float

    @classmethod
    def of(cls, page: NormalizedPage, number: int, page_count: int, *, content: bytes) -> NormalizedImage:
        """The page of a message, with its content, which may have come in chunks."""
        return cls(
            content=content,
            media_type=page.media_type,
            page=number,
            page_count=page_count,
            transform=page.transform,
            steps=tuple(page.steps),
            measures=page.measures if page.HasField("measures") else None,
            preprocess_ms=page.preprocess_ms,
        )


@dataclass(frozen=True, slots=True)
class NormalizedAnswer:
    """What became of one page of one item of a stream.

    ``page`` is 0 for an error of the item as a whole; ``page_count`` is None where it is not known. An item's pages
    come in order, the last answer of it is marked.
    """

    request_id: str
    page: int
    page_count: int | None
    last_page: bool
    outcome: NormalizedImage | OcrMuxError

    @property
    def image(self) -> NormalizedImage | None:
        """The page, or None on an error."""
        return self.outcome if isinstance(self.outcome, NormalizedImage) else None

    @property
    def error(self) -> OcrMuxError | None:
        """Why there is no page, or None."""
        return self.outcome if isinstance(self.outcome, OcrMuxError) else None
