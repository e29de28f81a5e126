"""The text of a page and of its lines, and how sure it is, as the gateway makes them."""

from __future__ import annotations

from collections.abc import Sequence

from ocrmux.ocr.v1 import document_pb2


def text_of(lines: Sequence[document_pb2.Line]) -> str:
    """The page's text."""
    return "\n".join(line.text for line in lines)


def confidence_of(lines: Sequence[document_pb2.Line]) -> float | None:
    """The mean of the lines' confidences, weighted by their length; None where none is stated."""
    weighed = [(line.confidence, len(line.text)) for line in lines if line.HasField("confidence") and line.text]
    total = sum(weight for _, weight in weighed)
    return sum(confidence * weight for confidence, weight in weighed) / total if total else None


def word_ends(line: document_pb2.Line) -> list[int]:
    """Where each word ends in the line's text."""
    ends: list[int] = []
    at = 0
    for word in line.words:
        found = line.text.find(word.text, at)
        at = (at if found < 0 else found) + len(word.text)
        ends.append(min(at, len(line.text)))
    return ends
