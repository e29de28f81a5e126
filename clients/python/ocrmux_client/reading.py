"""All answers of one item, together."""

from __future__ import annotations

from dataclasses import dataclass

from ocrmux.ocr.v1.document_pb2 import Document
from ocrmux.ocr.v1.recognition_pb2 import PageAnswer
from ocrmux_client.errors import OcrMuxError


@dataclass(frozen=True, slots=True)
class Reading:
    """What became of one image or document: an answer a page, in order."""

    answers: tuple[PageAnswer, ...]

    @property
    def document(self) -> Document:
        """The pages that were read, in one document."""
        return Document(pages=[page for answer in self.answers for page in answer.document.pages])

    @property
    def text(self) -> str:
        """The text of the pages that were read, pages parted by a form feed."""
        return "\f".join(page.text for page in self.document.pages)

    @property
    def errors(self) -> tuple[tuple[int, OcrMuxError], ...]:
        """Page number (0: the item as a whole) and error of each page that could not be read."""
        return tuple(
            (answer.page, OcrMuxError.from_status(answer.error))
            for answer in self.answers
            if answer.WhichOneof("outcome") == "error"
        )
