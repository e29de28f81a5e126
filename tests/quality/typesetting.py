"""Pages of set text: real lines of headings, entries and paragraphs, each with its exact text and its place.

Coordinates are continuous pixels from the outer corner of the top-left pixel, as in ``preprocess_service.model``.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tests.quality.phrases import LANGUAGES, Phrases

Pixels = NDArray[np.uint8]
Points = NDArray[np.float64]

_DEJAVU = Path("/usr/share/fonts/truetype/dejavu")
_SANS, _SERIF = _DEJAVU / "DejaVuSans.ttf", _DEJAVU / "DejaVuSerif.ttf"
_SANS_BOLD, _SERIF_BOLD = _DEJAVU / "DejaVuSans-Bold.ttf", _DEJAVU / "DejaVuSerif-Bold.ttf"
_CJK = Path("/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc")
_PACKAGES = {_SANS: "fonts-dejavu-core", _SERIF: "fonts-dejavu-core", _CJK: "fonts-wqy-zenhei"}

POINTS_AN_INCH = 72.0
_HAS_CJK = re.compile(r"[\u3000-\u9fff\uff00-\uffef]")
# A line breaks between these: a run of other characters, or one CJK character; blanks go with what is before them.
_TOKEN = re.compile(r"[\u3000-\u9fff\uff00-\uffef]\s*|[^\s\u3000-\u9fff\uff00-\uffef]+\s*")
# Punctuation that never begins a line.
_CLOSING = "，。；：、）！？,.;:)!?%"


@dataclass(frozen=True, slots=True)
class SetLine:
    """A line's text and its four corners (4 x 2, pixels), from the top left of the text clockwise as it is read."""

    text: str
    corners: Points


@dataclass(frozen=True, slots=True)
class SetPage:
    """The pixels (height x width x 3) and what is drawn on them, from the top to the bottom."""

    pixels: Pixels
    lines: tuple[SetLine, ...]


@dataclass(frozen=True, slots=True)
class Typography:
    """How a page is set. Sizes in points, so that ``dpi`` scales all of it; grey levels of ink and paper."""

    language: str
    dpi: float
    text_pt: float
    column_pt: float
    line_count: int
    serif: bool
    ink: tuple[int, int, int] = (28, 28, 32)
    paper: tuple[int, int, int] = (252, 252, 250)


def missing_packages() -> list[str]:
    """The Debian packages whose fonts are not installed."""
    return sorted({package for font, package in _PACKAGES.items() if not font.is_file()})


def set_page(look: Typography, rng: np.random.Generator) -> SetPage:
    """The page: a heading, entries and paragraphs, ``line_count`` lines in all, left-aligned.

    Raises ``OSError`` where a font is missing (see ``missing_packages``).
    """
    px = look.dpi / POINTS_AN_INCH
    column, margin, leading = look.column_pt * px, 28 * px, look.text_pt * px * 1.55
    texts = _texts(LANGUAGES[look.language], look, column, rng)
    height, top = round(margin * 2 + leading * (len(texts) + 0.5)), margin
    page = Image.new("RGB", (round(column + 2 * margin), height), look.paper)
    draw = ImageDraw.Draw(page)
    lines = []
    for number, text in enumerate(texts):
        font = _font(text, look, heading=number == 0)
        draw.text((round(margin), round(top)), text, font=font, fill=look.ink)
        left, up, right, down = draw.textbbox((round(margin), round(top)), text, font=font)
        lines.append(SetLine(text, np.array([(left, up), (right, up), (right, down), (left, down)], np.float64)))
        top += leading * (1.5 if number == 0 else 1.0)
    return SetPage(np.asarray(page), tuple(lines))


def _texts(phrases: Phrases, look: Typography, column: float, rng: np.random.Generator) -> list[str]:
    """The lines: a heading, two or three entries, then paragraphs, of which the last may go on on the next page."""
    entries = rng.choice(len(phrases.entries), size=int(rng.integers(2, 4)), replace=False)
    texts = [phrases.headings[int(rng.integers(len(phrases.headings)))], *(phrases.entries[i] for i in entries)]
    order = list(rng.permutation(len(phrases.sentences)))
    while len(texts) < look.line_count:
        paragraph = [phrases.sentences[order.pop()] for _ in range(int(rng.integers(1, 3))) if order]
        joint = "" if look.language == "chinese" else " "
        texts += wrapped(joint.join(paragraph), look, column)
    return texts[: look.line_count]


def wrapped(text: str, look: Typography, column: float) -> list[str]:
    """The text in lines of at most ``column`` pixels, broken between words or CJK characters."""
    font = _font(text, look, heading=False)
    lines = [""]
    for token in _TOKEN.findall(text):
        fits = font.getlength((lines[-1] + token).rstrip()) <= column
        if fits or not lines[-1] or token[0] in _CLOSING:
            lines[-1] += token
        else:
            lines.append(token)
    return [line.strip() for line in lines]


def _font(text: str, look: Typography, *, heading: bool) -> ImageFont.FreeTypeFont:
    if _HAS_CJK.search(text) or look.language != "english":
        name = _CJK
    elif heading:
        name = _SERIF_BOLD if look.serif else _SANS_BOLD
    else:
        name = _SERIF if look.serif else _SANS
    size = look.text_pt * (1.35 if heading else 1.0) * look.dpi / POINTS_AN_INCH
    return _loaded(name, round(size))


@functools.lru_cache(maxsize=64)
def _loaded(name: Path, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(name), size)
