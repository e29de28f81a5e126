"""A ground to draw documents on, and what light and hands do to them."""

from __future__ import annotations

import functools
import io
import math
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Pixels = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

CJK = Path("/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc")
MONO = Path("/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf")
MONO_BOLD = Path("/usr/share/fonts/truetype/dejavu/DejaVuSansMono-Bold.ttf")
SANS = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
_PACKAGES = {CJK: "fonts-wqy-zenhei", SANS: "fonts-dejavu-core"}
INK: Colour = (25, 25, 30)
BLUE: Colour = (40, 95, 150)


def missing_packages() -> list[str]:
    """The Debian packages whose fonts are not installed."""
    return sorted({package for font, package in _PACKAGES.items() if not font.is_file()})


def jpeg_of(pixels: Pixels) -> bytes:
    """The pixels as a camera keeps them."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=92)
    return out.getvalue()


def tilted(pixels: Pixels, seed: int) -> Pixels:
    """The card on a desk, turned by 3 to 9 degrees either way and seen a little from one side."""
    rng = np.random.default_rng(seed)
    height, width = pixels.shape[:2]
    angle = math.radians(rng.uniform(3, 9) * rng.choice([-1, 1]))
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)
    lean = 1 + rng.uniform(-0.04, 0.04, (4, 1))
    middle = np.array([width / 2, height / 2], np.float64)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    seen = (corners - middle) * lean @ turn
    seen -= seen.min(axis=0) - 30
    size = (math.ceil(seen[:, 0].max() + 30), math.ceil(seen[:, 1].max() + 30))
    matrix = cv2.getPerspectiveTransform(corners.astype(np.float32), seen.astype(np.float32))
    desk = (92, 74, 60)
    out = cv2.warpPerspective(pixels, matrix, size, flags=cv2.INTER_CUBIC, borderValue=desk)
    return np.asarray(out, np.uint8)


def dimmed(pixels: Pixels, seed: int) -> Pixels:
    """The card in poor light that falls off to one side, with the noise of a sensor and a little blur."""
    rng = np.random.default_rng(seed)
    height, width = pixels.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = rng.uniform(0, 2 * math.pi)
    ramp = (x / width - 0.5) * math.cos(angle) + (y / height - 0.5) * math.sin(angle)
    light = (0.33 + 0.22 * ramp)[:, :, np.newaxis]
    soft = cv2.GaussianBlur(pixels, (0, 0), 0.8).astype(np.float32)
    noise = rng.standard_normal(pixels.shape, np.float32) * 5
    return np.asarray(np.clip(np.rint(soft * light + 6 + noise), 0, 255), np.uint8)


@functools.lru_cache(maxsize=64)
def _loaded(font: Path, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(font), size)


class Sheet:
    """A ground to draw texts on."""

    def __init__(self, width: int, height: int, ground: Colour) -> None:
        self._image = Image.new("RGB", (width, height), ground)
        self._draw = ImageDraw.Draw(self._image)

    def text(
        self, x: float, y: float, text: str, size: int, ink: Colour = INK, font: Path = CJK, step: float = 0.0
    ) -> None:
        """Text from its top left; with ``step``, each character so many pixels behind the one before."""
        face = _loaded(font, size)
        for place, part in enumerate(text if step else [text]):
            self._draw.text((x + place * step, y), part, font=face, fill=ink)

    def box(self, box: tuple[float, float, float, float], fill: Colour) -> None:
        self._draw.rectangle(box, fill=fill)

    def disc(self, box: tuple[float, float, float, float], fill: Colour) -> None:
        self._draw.ellipse(box, fill=fill)

    def waves(self, ink: Colour) -> None:
        """A guilloche, faint."""
        width, height = self._image.size
        for offset in range(0, height, 14):
            points = [(x, offset + 9 * math.sin(x / 47 + offset)) for x in range(0, width, 6)]
            self._draw.line(points, fill=ink, width=1)

    def chequers(self, x: int, y: int, side: int, rng: np.random.Generator) -> None:
        """A square of black and white modules, as a code has."""
        modules = rng.integers(0, 2, (25, 25))
        unit = side / 25
        for row, column in np.argwhere(modules):
            self.box((x + column * unit, y + row * unit, x + (column + 1) * unit, y + (row + 1) * unit), INK)

    @property
    def pixels(self) -> Pixels:
        return np.asarray(self._image)
