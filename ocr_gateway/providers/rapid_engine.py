"""RapidOCR's detector and recogniser, one step at a time, with words and confidences put right.

The library is imported by the first engine that is built. Its own way through a page is not used because it hands each
word the confidence of another character, splits mixed lines into single digits, and cannot be asked between its steps.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocr_gateway.providers.writing import is_cjk

Pixels = NDArray[np.uint8]
Boxes = NDArray[np.float64]

_DETECTOR = "PP-OCRv6_det_small.onnx"
_RECOGNIZER = "PP-OCRv6_rec_small.onnx"
_MODEL = "PP-OCRv6-small"
# An image longer than this many times its short side is padded to half of that: the library first reduces the long side
# to 2000 px, and would leave nothing of a strip's short side.
_MAX_ASPECT = 8.0
_MIN_SIDE_PX = 32
# With a box at least this high, or none, the image is looked at again, reduced: to this scale, and further until the
# highest box has the second height.
_MOST_ENLARGED = 2.0
_ENOUGH_PX = 736
_LARGE_TEXT_PX = 100.0
_REDUCED_SCALE = 0.25
_REDUCED_TEXT_PX = 64.0
# Share of a reduced image's box that a box of the whole image must have in height to be a part of the same line.
_SAME_TEXT = 0.5
# Share of a reduced image's box that the boxes in it must cover to be lines of their own.
_OWN_LINES = 0.25
# The recogniser's batch is 6 lines; between slices the caller's presence is looked at.
_LINES_A_SLICE = 24


@dataclass(frozen=True, slots=True)
class WordSpan:
    """A word and where it lies on its line: fractions of the line's length, in the direction of reading."""

    text: str
    confidence: float
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class LineReading:
    """What the recogniser made of one line. An empty text has the confidence 0."""

    text: str
    confidence: float
    words: tuple[WordSpan, ...] = ()


@dataclass(frozen=True, slots=True)
class Detection:
    """The lines found on an image.

    ``boxes`` is n x 4 x 2, in pixels of the image: top left, top right, bottom right, bottom left as they stand on the
    image. ``crops`` are the lines as the recogniser takes them; those that are ``sideways``, at least 1.5 times as tall
    as wide, are turned a quarter counter-clockwise.
    """

    boxes: Boxes
    crops: tuple[Pixels, ...]
    sideways: tuple[bool, ...]


def model_name() -> str:
    """The library's version and the models, for example "rapidocr-3.10.0/PP-OCRv6-small". Imports nothing.

    Raises ``importlib.metadata.PackageNotFoundError`` where the library is not installed.
    """
    return f"rapidocr-{importlib.metadata.version('rapidocr')}/{_MODEL}"


class RapidEngine:
    """One detector and one recogniser, both on one thread. Not to be shared by threads.

    Building it imports the library, so it is slow (seconds) and raises ``ImportError`` or ``FileNotFoundError`` where
    the library or its models are missing; nothing is ever downloaded.
    """

    def __init__(self) -> None:
        # Read by OpenCV and OpenMP when they are first imported; an operator's own choice stands.
        os.environ.setdefault("OPENCV_FOR_THREADS_NUM", "1")
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # an embedded engine speaks to nobody
        import rapidocr
        from rapidocr.main import RapidOCRError

        models = Path(rapidocr.__file__).parent / "models"
        for model in (_DETECTOR, _RECOGNIZER):
            if not (models / model).is_file():
                raise FileNotFoundError(f"the model {model} is not in the rapidocr package")
        self._engine: Any = rapidocr.RapidOCR(
            params={
                "Global.use_cls": False,
                "Global.log_level": "warning",
                "Global.return_word_box": True,
                "Global.use_vertical_padding": False,
                "EngineConfig.onnxruntime.intra_op_num_threads": 1,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
                "Det.model_path": str(models / _DETECTOR),
                "Rec.model_path": str(models / _RECOGNIZER),
            }
        )
        blank = np.full((64, 128, 3), 255, np.uint8)
        with contextlib.suppress(RapidOCRError):  # which says that the blank has no text
            self._engine.detect_and_crop(blank, {})
        self._detector: Any = self._engine.text_det
        self.recognize([blank])

    def detect(self, rgb: Pixels) -> Detection:
        """The lines on an RGB image of any shape, in no order that is promised.

        The detector sees a small image enlarged, at most twice and to a short side of 736 px: unlike the image as it
        is, that shows it text 6 px high (a poster of 323 x 430 px: 14 % of the characters wrong without, none with it),
        and unlike the library's way, 736 px whatever the factor, it leaves small labels in one piece (2 to 10 of 42
        misread, and 40 times as long). Text over 160 px high comes apart or is missed, so it is looked for once more
        on the image reduced: of 30 images with glyphs 200..500 px high 24 were read without that, all 30 with it.
        """
        padded, left, top = _padded(rgb)
        bgr = np.ascontiguousarray(padded[:, :, ::-1])
        image, record = self._engine.preprocess_img(bgr)
        found = self._boxes(image, min(_MOST_ENLARGED, max(1.0, _ENOUGH_PX / min(image.shape[:2]))))
        highest = max(map(_text_height, found), default=0.0)
        if highest >= _LARGE_TEXT_PX or not len(found):
            scale = min(_REDUCED_SCALE, _REDUCED_TEXT_PX / max(highest, 1.0))
            found = join_large_text(found, self._boxes(image, scale))
        crops = self._engine.crop_text_regions(image, found)
        ratios = record["preprocess"]
        boxes = found.astype(np.float64) * (ratios["ratio_w"], ratios["ratio_h"]) - (left, top)
        height, width = rgb.shape[:2]
        boxes = np.clip(boxes, 0, (width, height))
        return Detection(boxes, tuple(crops), tuple(map(_is_sideways, found)))

    def _boxes(self, image: Pixels, scale: float) -> NDArray[np.float32]:
        """The boxes (n x 4 x 2, pixels of the image) that the detector finds on the image at ``scale``."""
        enlarged = scale > 1  # the library only reduces by a bound on the long side, only enlarges by one on the short
        self._detector.limit_type = "min" if enlarged else "max"
        self._detector.limit_side_len = round((min if enlarged else max)(image.shape[:2]) * scale)
        boxes = self._detector(image).boxes
        return np.zeros((0, 4, 2), np.float32) if boxes is None else np.asarray(boxes, np.float32)

    def recognize(
        self, crops: Sequence[Pixels], between_slices: Callable[[], None] = lambda: None
    ) -> list[LineReading]:
        """The reading of each line crop (BGR), in the given order.

        ``between_slices`` is called now and then, and may raise to end the work.
        """
        order = sorted(range(len(crops)), key=lambda i: crops[i].shape[1] / crops[i].shape[0])
        readings = [LineReading("", 0.0)] * len(crops)
        for begin in range(0, len(order), _LINES_A_SLICE):
            between_slices()
            part = order[begin : begin + _LINES_A_SLICE]
            answer = self._engine.recognize_txt([crops[i] for i in part])
            for index, text, confidence, info in zip(
                part, answer.txts, answer.scores, answer.word_results, strict=True
            ):
                if text.strip():
                    readings[index] = LineReading(text.strip(), float(confidence), _word_spans(text, info))
        return readings


def _padded(rgb: Pixels) -> tuple[Pixels, int, int]:
    """The image with its border's colour around it where it is too small or too long; and what was put left and top."""
    height, width = rgb.shape[:2]
    floor_px = _MIN_SIDE_PX
    if max(height, width) > _MAX_ASPECT * min(height, width):
        floor_px = max(floor_px, round(max(height, width) * 2 / _MAX_ASPECT))
    extra_x, extra_y = max(floor_px - width, 0), max(floor_px - height, 0)
    if not extra_x and not extra_y:
        return rgb, 0, 0
    border = np.concatenate([rgb[0], rgb[-1], rgb[:, 0], rgb[:, -1]])
    ground = np.median(border, axis=0).astype(np.uint8)
    out = np.empty((height + extra_y, width + extra_x, 3), np.uint8)
    out[:] = ground
    left, top = extra_x // 2, extra_y // 2
    out[top : top + height, left : left + width] = rgb
    return out, left, top


def _text_height(box: NDArray[np.float32]) -> float:
    """The shorter of a box's sides: the height of its text, whichever way it runs."""
    return float(min(np.linalg.norm(box[1] - box[0]), np.linalg.norm(box[3] - box[0])))


def join_large_text(whole: NDArray[np.float32], reduced: NDArray[np.float32]) -> NDArray[np.float32]:
    """The boxes of the whole image, those that are parts of a line of large text replaced by the reduced image's.

    A reduced image joins small lines to one box as well. Such a box is left out: lines fill it, none nearly as high.
    """
    kept = np.ones(len(whole), bool)
    lines = []
    for line in reduced:
        height = _text_height(line)
        inside = np.array([_share_inside(box, line) > 0.5 for box in whole], bool)
        highest = max((_text_height(box) for box in whole[inside]), default=0.0)
        covered = sum(map(_area, whole[inside])) / _area(line)
        if height >= _LARGE_TEXT_PX and (highest >= height * _SAME_TEXT or covered < _OWN_LINES):
            kept &= ~inside
            lines.append(line)
    return np.concatenate([whole[kept], np.array(lines, np.float32).reshape(-1, 4, 2)])


def _share_inside(box: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """The share of a box's extent that lies in another's, both along the other's first edge and across it."""
    edge = other[1] - other[0]
    cos, sin = edge / max(float(np.linalg.norm(edge)), 1.0)
    turn = np.array([[cos, -sin], [sin, cos]])
    turned, outer = box @ turn, other @ turn
    low = np.maximum(turned.min(axis=0), outer.min(axis=0))
    high = np.minimum(turned.max(axis=0), outer.max(axis=0))
    return float(np.prod(np.maximum(high - low, 0.0))) / _area(turned)


def _area(box: NDArray[np.float32]) -> float:
    """The area of a box's upright extent, pixels, at least 1."""
    return float(np.prod(np.maximum(np.ptp(box, axis=0), 1.0)))


def _is_sideways(box: NDArray[np.float32]) -> bool:
    """The library's own rule for turning a crop, on the box that it cut it by."""
    width = int(max(np.linalg.norm(box[0] - box[1]), np.linalg.norm(box[2] - box[3])))
    height = int(max(np.linalg.norm(box[0] - box[3]), np.linalg.norm(box[1] - box[2])))
    return width > 0 and height / width >= 1.5


def _word_spans(text: str, info: Any) -> tuple[WordSpan, ...]:
    """Words from the recogniser's columns: runs between blanks, each CJK character by itself.

    ``info.confs`` has one figure for each character of ``text``, blanks included; ``info.word_cols`` has the column of
    each other character, ``info.line_txt_len`` the number of columns that the line takes.
    """
    columns = float(info.line_txt_len)
    if columns <= 0:
        return ()
    confidences = [float(c) for character, c in zip(text, info.confs, strict=True) if not character.isspace()]
    spans: list[WordSpan] = []
    seen = 0
    for characters, places in zip(info.words, info.word_cols, strict=True):
        scores = confidences[seen : seen + len(characters)]
        seen += len(characters)
        steps = (places[-1] - places[0]) / (len(places) - 1) if len(places) > 1 else 2.0
        half = max(min(steps, 6.0), 1.0) / 2
        for first, last in _parts(characters):
            start = (places[first] + 0.5 - half) / columns
            end = (places[last] + 0.5 + half) / columns
            word = "".join(characters[first : last + 1])
            confidence = sum(scores[first : last + 1]) / (last + 1 - first)
            spans.append(WordSpan(word, confidence, min(max(start, 0.0), 1.0), min(max(end, 0.0), 1.0)))
    return tuple(spans)


def _parts(characters: Sequence[str]) -> list[tuple[int, int]]:
    """First and last index of each word: CJK characters one by one, others together."""
    parts: list[tuple[int, int]] = []
    for index, character in enumerate(characters):
        if parts and not is_cjk(character) and not is_cjk(characters[index - 1]):
            parts[-1] = (parts[-1][0], index)
        else:
            parts.append((index, index))
    return parts
