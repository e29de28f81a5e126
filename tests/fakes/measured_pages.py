"""Pages whose skew, light, noise and outline are known because they were drawn so."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Pixels = npt.NDArray[np.uint8]
Quad = npt.NDArray[np.float64]

_WORDS = [
    "The",
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "a",
    "lazy",
    "dog",
    "while",
    "seven",
    "wizards",
    "of",
    "Quebec",
    "judge",
    "my",
    "vow;",
    "Invoice",
    "number",
    "total",
    "amount",
    "due",
    "within",
    "thirty",
    "days",
    "from",
    "receipt",
    "of",
    "goods,",
    "please",
    "quote",
    "reference",
    "when",
    "paying",
    "by",
    "bank",
    "transfer",
    "(IBAN).",
    "Meetings",
    "are",
    "held",
    "on",
    "Tuesday",
    "at",
    "10:30",
    "in",
    "the",
    "library,",
    "and",
    "everybody",
    "who",
    "reads",
    "this",
    "is",
    "kindly",
    "invited",
    "to",
    "join.",
]
_CHINESE = (
    "本合同由甲乙双方于二〇二四年三月签订，双方应当遵守国家法律、法规的规定。货物名称、规格、数量及单价见附件一，"
    "交货地点为乙方仓库；运输费用由甲方承担。如有争议，双方应协商解决，协商不成的，可向人民法院提起诉讼。"
    "发票抬头、税号和开户银行请认真填写，付款期限为收货后三十日内。学校图书馆星期一至星期五开放，欢迎读者前来借阅。"
)
FONT_FOLDERS = (Path("/usr/share/fonts"),)
_CHINESE_FONT = "truetype/wqy/wqy-zenhei.ttc"
_LATIN_FONTS = ("truetype/dejavu/DejaVuSans.ttf", "truetype/dejavu/DejaVuSerif.ttf")


def chinese_font() -> Path | None:
    """A Chinese font of this machine."""
    return _font_file(_CHINESE_FONT)


def latin_fonts() -> list[Path | None]:
    """Latin fonts of this machine; None stands for Pillow's own."""
    return [None, *(path for name in _LATIN_FONTS if (path := _font_file(name)))]


def _font_file(name: str) -> Path | None:
    return next((folder / name for folder in FONT_FOLDERS if (folder / name).exists()), None)


@dataclass(frozen=True, slots=True)
class Writing:
    """How a page of text is drawn, in pixels and grey levels."""

    lines: int = 30
    size: int = 24
    leading: float = 1.6
    width: int = 1240
    height: int = 1754
    margin: int = 100
    ink: int = 20
    paper: int = 245
    chinese: bool = False
    font: Path | None = None
    down: bool = False


def written_page(writing: Writing, seed: int) -> Pixels:
    """A level page with ragged lines of random words; ``down`` writes Chinese in columns from the right."""
    rng = np.random.default_rng(seed)
    page = Image.new("L", (writing.width, writing.height), writing.paper)
    drawing = ImageDraw.Draw(page)
    font = font_of(writing.font, writing.size)
    pitch = writing.size * writing.leading
    for number in range(writing.lines):
        at = writing.margin + pitch * number
        along = writing.height if writing.down else writing.width
        across = writing.width if writing.down else writing.height
        if at + pitch > across - writing.margin:
            break
        reach = (along - 2 * writing.margin) * (1.0 if rng.random() < 0.6 else rng.uniform(0.3, 1.0))
        if writing.down:
            for place in range(int(reach / writing.size / 1.05)):
                character = _CHINESE[int(rng.integers(len(_CHINESE)))]
                spot = (writing.width - at - writing.size, writing.margin + place * writing.size * 1.05)
                drawing.text(spot, character, font=font, fill=writing.ink)
        else:
            drawing.text((writing.margin, at), line_of(writing, font, reach, rng), font=font, fill=writing.ink)
    return np.asarray(page)


def font_of(path: Path | None, size: int) -> ImageFont.FreeTypeFont:
    """The font at this size in pixels; Pillow's own for None."""
    font = ImageFont.load_default(size) if path is None else ImageFont.truetype(str(path), size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


def line_of(writing: Writing, font: ImageFont.FreeTypeFont, reach: float, rng: np.random.Generator) -> str:
    """Random text that is at most this long, at least a word."""
    text = ""
    while True:
        if writing.chinese:
            start = int(rng.integers(len(_CHINESE) - 8))
            more = text + _CHINESE[start : start + 8]
        else:
            more = f"{text} {_WORDS[int(rng.integers(len(_WORDS)))]}".strip()
        if text and font.getlength(more) > reach:
            return text
        text = more


def skewed(page: Pixels, falls_deg: float, paper: int = 245) -> Pixels:
    """The page with its lines falling to the right by so much, on a canvas that holds all of it."""
    height, width = page.shape
    cosine, sine = math.cos(math.radians(falls_deg)), math.sin(math.radians(falls_deg))
    new_width = math.ceil(abs(width * cosine) + abs(height * sine))
    new_height = math.ceil(abs(height * cosine) + abs(width * sine))
    matrix = np.array(
        [
            [cosine, -sine, (new_width - width * cosine + height * sine) / 2],
            [sine, cosine, (new_height - width * sine - height * cosine) / 2],
        ]
    )
    turned = cv2.warpAffine(page, matrix, (new_width, new_height), flags=cv2.INTER_CUBIC, borderValue=(paper,))
    return turned.astype(np.uint8)


def noisy(page: Pixels, sigma: float, seed: int) -> Pixels:
    """The page with white noise of this standard deviation."""
    noise = np.random.default_rng(seed).normal(0, sigma, page.shape)
    return np.clip(np.rint(page + noise), 0, 255).astype(np.uint8)


def shaded(page: Pixels, depth: float, seed: int) -> Pixels:
    """The page in light that falls off to one side by this share of it."""
    height, width = page.shape
    angle = np.random.default_rng(seed).uniform(0, 2 * math.pi)
    rows, columns = np.mgrid[0:height, 0:width]
    along = (columns / width - 0.5) * math.cos(angle) + (rows / height - 0.5) * math.sin(angle)
    share = (along - along.min()) / (along.max() - along.min())
    return np.asarray(np.clip(np.rint(page * (1 - depth * share)), 0, 255), np.uint8)


def smeared(page: Pixels, sigma: float) -> Pixels:
    """The page out of focus."""
    return np.asarray(cv2.GaussianBlur(page, (0, 0), sigma), np.uint8)


def moved(page: Pixels, reach_px: int, angle_deg: float = 0.0) -> Pixels:
    """The page as moved by so much during the exposure."""
    kernel = np.zeros((2 * reach_px + 1, 2 * reach_px + 1), np.float32)
    middle = float(reach_px)
    for share in np.linspace(-0.5, 0.5, 8 * reach_px):
        x = middle + share * reach_px * math.cos(math.radians(angle_deg))
        y = middle + share * reach_px * math.sin(math.radians(angle_deg))
        kernel[round(y), round(x)] += 1
    return cv2.filter2D(page, -1, kernel / kernel.sum()).astype(np.uint8)


def photographed(page: Pixels, corners: Quad, width: int, height: int, table: Pixels) -> Pixels:
    """The page seen with its corners, top left first and clockwise, at these places of a table's picture.

    Drawn at twice the size and averaged, so that its edges are as soft as a camera's.
    """
    rows, columns = page.shape
    source = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], np.float32)
    shift = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
    matrix = shift @ cv2.getPerspectiveTransform(source, (2 * corners).astype(np.float32)) @ np.linalg.inv(shift)
    size = (2 * width, 2 * height)
    seen = cv2.warpPerspective(page, matrix, size, flags=cv2.INTER_AREA)
    cover = cv2.warpPerspective(np.full_like(page, 255), matrix, size)
    whole = cv2.resize(table, size, interpolation=cv2.INTER_LINEAR)
    mixed = (seen * (cover / 255.0) + whole * (1 - cover / 255.0)).astype(np.float32)
    return np.asarray(np.rint(cv2.resize(mixed, (width, height), interpolation=cv2.INTER_AREA)), np.uint8)


def table_of(width: int, height: int, level: float, grain: float, seed: int = 0) -> Pixels:
    """A table's picture: of about this brightness, with a soft grain of this standard deviation, lit from one side."""
    rough = np.random.default_rng(seed).normal(0, 1, (height // 8 + 1, width // 8 + 1))
    grained = level + grain * cv2.resize(rough, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(grained + np.linspace(-10, 10, width)[None, :], 0, 255), np.uint8)
