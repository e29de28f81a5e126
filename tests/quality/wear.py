"""What scanners do to a page: each a function of the pixels, and of random numbers where it has any.

Those that move pixels return the homography (3 x 3, points of the page given to points of the one returned) as well.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.quality.typesetting import Pixels

Matrix = NDArray[np.float64]


def scaled(pixels: Pixels, factor: float) -> tuple[Pixels, Matrix]:
    """The page with each pixel the mean of what it covers, as a sensor sees it; ``factor`` below 1."""
    height, width = pixels.shape[:2]
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return _bytes(small), np.diag([size[0] / width, size[1] / height, 1.0])


def rotated(pixels: Pixels, degrees: float) -> tuple[Pixels, Matrix]:
    """The page turned, clockwise for positive degrees, on a sheet that is large enough, in the colour of its corner."""
    height, width = pixels.shape[:2]
    angle = math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    out_width = math.ceil(width * abs(cos) + height * abs(sin))
    out_height = math.ceil(width * abs(sin) + height * abs(cos))
    middle = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 1]], np.float64)
    turn = np.array([[cos, -sin, out_width / 2], [sin, cos, out_height / 2], [0, 0, 1]], np.float64)
    matrix = turn @ middle
    return warped(pixels, matrix, (out_width, out_height), pixels[0, 0]), matrix


def quarter_turned(pixels: Pixels, quarters: int) -> tuple[Pixels, Matrix]:
    """The page turned by so many quarters, counter-clockwise."""
    height, width = pixels.shape[:2]
    matrices = {
        0: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        1: [[0, 1, 0], [-1, 0, width], [0, 0, 1]],
        2: [[-1, 0, width], [0, -1, height], [0, 0, 1]],
        3: [[0, -1, height], [1, 0, 0], [0, 0, 1]],
    }
    return np.ascontiguousarray(np.rot90(pixels, quarters)), np.array(matrices[quarters % 4], np.float64)


def warped(pixels: Pixels, matrix: Matrix, size: tuple[int, int], ground: NDArray[np.uint8]) -> Pixels:
    """The pixels taken through a homography onto an image of ``size`` (width, height), ``ground`` where there are none.

    OpenCV puts whole coordinates on the centres of pixels, so the matrix is moved by half a pixel at both ends.
    """
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]], np.float64)
    centred = np.linalg.inv(half) @ matrix @ half
    colour = [float(value) for value in ground]
    return _bytes(cv2.warpPerspective(pixels, centred, size, flags=cv2.INTER_CUBIC, borderValue=colour))


def grainy(pixels: Pixels, deviation: float, rng: np.random.Generator) -> Pixels:
    """Noise of a sensor: normal, of the given standard deviation in grey levels, a little different in each channel."""
    height, width = pixels.shape[:2]
    shared = rng.standard_normal((height, width, 1), np.float32) * np.float32(deviation * 0.9)
    own = rng.standard_normal((height, width, 3), np.float32) * np.float32(deviation * 0.45)
    return _bytes(pixels + shared + own)


def speckled(pixels: Pixels, share: float, rng: np.random.Generator) -> Pixels:
    """Single pixels, a share of all, turned black or white."""
    draw = rng.random(pixels.shape[:2])
    out = pixels.copy()
    out[draw < share / 2] = 0
    out[draw > 1 - share / 2] = 255
    return out


def faded(pixels: Pixels, paper: float, ink: float) -> Pixels:
    """White becomes the grey level ``paper`` and black ``ink``, all between in proportion."""
    return _bytes(ink + pixels.astype(np.float32) / 255.0 * (paper - ink))


def unevenly_lit(pixels: Pixels, darkest: float, rng: np.random.Generator) -> Pixels:
    """Light that falls off from one side to ``darkest`` (0..1) of itself, with a soft spot."""
    height, width = pixels.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = rng.uniform(0, 2 * math.pi)
    ramp = (x / width - 0.5) * math.cos(angle) + (y / height - 0.5) * math.sin(angle)
    ramp = (ramp - ramp.min()) / np.ptp(ramp)
    spot_x, spot_y = rng.uniform(0.2, 0.8, 2)
    spot = np.exp(-(((x / width - spot_x) / 0.35) ** 2 + ((y / height - spot_y) / 0.5) ** 2))
    light = np.clip(darkest + (1 - darkest) * (0.85 * ramp + 0.15 * spot), 0, 1)
    return _bytes(pixels * light[:, :, np.newaxis])


def motion_blurred(pixels: Pixels, length_px: float, degrees: float) -> Pixels:
    """The hand moved on a straight way of this length while the shutter was open."""
    size = 2 * math.ceil(length_px / 2) + 3
    kernel = np.zeros((size, size), np.float32)
    centre = (size - 1) / 2
    reach = length_px / 2
    step = (math.cos(math.radians(degrees)) * reach, math.sin(math.radians(degrees)) * reach)
    for place in np.linspace(-1, 1, 8 * size):
        x, y = centre + step[0] * place, centre + step[1] * place
        left, top = math.floor(x), math.floor(y)
        for row, column in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
            kernel[row, column] += max(0.0, 1 - abs(x - column)) * max(0.0, 1 - abs(y - row))
    return _bytes(cv2.filter2D(pixels, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE))


def focus_blurred(pixels: Pixels, radius_px: float) -> Pixels:
    """A lens out of focus: each point becomes a disc of this radius with soft edges."""
    reach = math.ceil(radius_px) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    kernel = np.clip(radius_px + 0.5 - np.hypot(x, y), 0, 1)
    return _bytes(cv2.filter2D(pixels, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE))


def _bytes(values: NDArray[np.generic] | cv2.typing.MatLike) -> Pixels:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
