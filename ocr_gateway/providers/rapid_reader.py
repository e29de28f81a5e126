"""A page read by RapidOCR: turned the right way up where it is not, its boxes fitted to the ink, in reading order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ocr_gateway.model import Block, Line, Page, Point, Polygon, Word
from ocr_gateway.providers import page_turn
from ocr_gateway.providers.ink_fit import FittedLine, fit_lines
from ocr_gateway.providers.rapid_engine import Detection, LineReading, Pixels, RapidEngine
from ocr_gateway.providers.reading_order import reading_order
from ocr_gateway.providers.writing import is_cjk

Corners = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Reading:
    """A whole page read one way up."""

    detection: Detection
    lines: Sequence[LineReading]
    evidence: float


def read_page(engine: RapidEngine, rgb: Pixels, text_score: float, check: Callable[[], None]) -> Page:
    """The lines of an RGB image whose confidence is ``text_score`` or more; no block where there are none.

    ``check`` is called between the steps, and may raise to end the work.
    """
    turn, reading = _right_way_up(engine, rgb, check)
    turned = np.rot90(rgb, turn)
    kept = [i for i, line in enumerate(reading.lines) if line.text and line.confidence >= text_score]
    check()
    fitted = _fit(turned, reading, kept)
    height, width = rgb.shape[:2]
    blocks = []
    for order in reading_order([line.corners for line in fitted]):
        lines = tuple(_line(fitted[i], reading.lines[kept[i]], turn, width, height) for i in order)
        blocks.append(Block(lines=lines, polygon=_outline(lines, turn)))
    return Page(width=width, height=height, blocks=tuple(blocks))


def _right_way_up(engine: RapidEngine, rgb: Pixels, check: Callable[[], None]) -> tuple[int, _Reading]:
    """The turn that reads best and its reading. A level page that reads well costs nothing extra."""
    detection = engine.detect(rgb)
    check()
    turn = 0
    if page_turn.is_sideways(detection.sideways, _lengths(detection)):
        turn = _quarter_turn(engine, detection)
        if turn:
            detection = engine.detect(np.ascontiguousarray(np.rot90(rgb, turn)))
    reading = _read(engine, detection, check)
    if page_turn.is_doubtful(reading.evidence) and detection.crops:
        sample = _longest(detection)
        other = _sample_evidence(engine, detection, sample, half_turn=True)
        as_read = page_turn.mean_evidence(
            [_line_evidence(reading.lines[i], detection, i) for i in sample], [_aspect(detection, i) for i in sample]
        )
        check()
        if page_turn.is_clearly_better(other, as_read):
            over = (turn + 2) % 4
            second = _read(engine, engine.detect(np.ascontiguousarray(np.rot90(rgb, over))), check)
            if second.evidence > reading.evidence:
                return over, second
    return turn, reading


def _quarter_turn(engine: RapidEngine, detection: Detection) -> int:
    """1 or 3, whichever the longest lines read better by. Their crops are turned by 1 already."""
    sample = [i for i in _longest(detection) if detection.sideways[i]]
    left = _sample_evidence(engine, detection, sample, half_turn=False)
    right = _sample_evidence(engine, detection, sample, half_turn=True)
    return 1 if left >= right else 3


def _read(engine: RapidEngine, detection: Detection, check: Callable[[], None]) -> _Reading:
    lines = engine.recognize(detection.crops, check)
    figures = [_line_evidence(line, detection, i) for i, line in enumerate(lines)]
    return _Reading(
        detection, lines, page_turn.mean_evidence(figures, [_aspect(detection, i) for i in range(len(lines))])
    )


def _sample_evidence(engine: RapidEngine, detection: Detection, sample: Sequence[int], *, half_turn: bool) -> float:
    crops = [detection.crops[i] for i in sample]
    if half_turn:
        crops = [np.ascontiguousarray(np.rot90(crop, 2)) for crop in crops]
    lines = engine.recognize(crops)
    return page_turn.mean_evidence(
        [_line_evidence(line, detection, i) for line, i in zip(lines, sample, strict=True)],
        [_aspect(detection, i) for i in sample],
    )


def _line_evidence(line: LineReading, detection: Detection, index: int) -> float:
    return page_turn.evidence(line.text, line.confidence, _aspect(detection, index))


def _aspect(detection: Detection, index: int) -> float:
    height, width = detection.crops[index].shape[:2]
    return max(int(width) / max(int(height), 1), 1.0)


def _lengths(detection: Detection) -> list[float]:
    return [float(max(crop.shape[:2])) for crop in detection.crops]


def _longest(detection: Detection) -> list[int]:
    lengths = _lengths(detection)
    return sorted(range(len(lengths)), key=lambda i: -lengths[i])[: page_turn.SAMPLE_LINES]


def _fit(rgb: Pixels, reading: _Reading, kept: Sequence[int]) -> list[FittedLine]:
    """The kept lines' boxes, fitted; sideways lines on the page turned by a quarter, where they are level."""
    boxes, sideways = reading.detection.boxes, reading.detection.sideways
    level = [i for i in kept if not sideways[i]]
    flat = fit_lines(rgb, [boxes[i] for i in level], [reading.lines[i].words for i in level])
    fitted = dict(zip(level, flat, strict=True))
    upended = [i for i in kept if sideways[i]]
    if upended:
        height, width = rgb.shape[:2]
        turned = [np.roll(page_turn.to_turned(boxes[i], 1, width, height), -1, axis=0) for i in upended]
        lines = fit_lines(np.rot90(rgb), turned, [reading.lines[i].words for i in upended])
        for i, line in zip(upended, lines, strict=True):
            # A column of CJK has its characters upright, so its top is where the engine's box has it.
            roll = 1 if _is_cjk_text(reading.lines[i].text) else 0
            corners, *words = (
                np.roll(page_turn.to_given(points, 1, width, height), roll, axis=0)
                for points in (line.corners, *line.words)
            )
            fitted[i] = FittedLine(corners, tuple(words))
    return [fitted[i] for i in kept]


def _is_cjk_text(text: str) -> bool:
    return 2 * sum(map(is_cjk, text)) > len(text)


def _line(fitted: FittedLine, reading: LineReading, turn: int, width: int, height: int) -> Line:
    def polygon(corners: Corners) -> Polygon:
        return tuple(
            (round(float(x), 2), round(float(y), 2)) for x, y in page_turn.to_given(corners, turn, width, height)
        )

    words = tuple(
        Word(text=span.text, confidence=span.confidence, polygon=polygon(corners))
        for span, corners in zip(reading.words, fitted.words, strict=True)
    )
    return Line(text=reading.text, confidence=reading.confidence, polygon=polygon(fitted.corners), words=words)


def _outline(lines: Sequence[Line], turn: int) -> Polygon:
    """The upright rectangle round the lines, from the corner where reading begins."""
    points: list[Point] = [point for line in lines for point in line.polygon or ()]
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    top, bottom = min(y for _, y in points), max(y for _, y in points)
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    return tuple(corners[turn % 4 :] + corners[: turn % 4])
