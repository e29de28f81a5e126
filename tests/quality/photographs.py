"""Pages photographed by a phone: on a table, seen from the side, under a lamp that the phone itself stands in."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.quality import wear
from tests.quality.typesetting import Pixels

Matrix = NDArray[np.float64]

# Brown, dark, and light table tops; RGB.
_TABLES = ((122, 86, 56), (70, 62, 58), (158, 132, 98), (88, 96, 104))


@dataclass(frozen=True, slots=True)
class Viewpoint:
    """How a photograph is taken.

    ``width_px`` of the photograph; ``turn_deg`` at most that the page lies turned; ``tilt_deg`` by which the camera
    leans away from straight above, at most, and at least three quarters of it; ``shadow`` the light that is left in
    the shadow, 0..1; ``blur_px`` the radius of the focus; ``grain`` the noise, grey levels; ``jpeg_quality`` 1..100.
    """

    width_px: int
    turn_deg: float
    tilt_deg: float
    shadow: float
    blur_px: float
    grain: float
    jpeg_quality: int


def photographed(pixels: Pixels, view: Viewpoint, rng: np.random.Generator) -> tuple[Pixels, Matrix]:
    """The photograph of a page, 3 to 4 in shape, and the homography from the page to it."""
    size = (view.width_px, round(view.width_px * 0.75))
    matrix = _seen_from(pixels.shape[1], pixels.shape[0], size, view, rng)
    table = _table(size, rng)
    height, width = pixels.shape[:2]
    black = np.zeros(3, np.uint8)
    sheet = wear.warped(pixels, matrix, size, black)
    mask = wear.warped(np.full((height, width, 3), 255, np.uint8), matrix, size, black)
    share = cv2.GaussianBlur(mask, (0, 0), 0.8).astype(np.float32) / 255.0
    cast = np.roll(cv2.GaussianBlur(mask, (0, 0), 9.0), (7, 5), (0, 1)).astype(np.float32) / 255.0
    scene = table * (1 - 0.45 * cast) * (1 - share) + sheet * share
    lit = np.clip(scene * _light(size, view.shadow, rng)[:, :, np.newaxis], 0, 255).astype(np.uint8)
    return wear.grainy(wear.focus_blurred(lit, view.blur_px), view.grain, rng), matrix


def _seen_from(width: int, height: int, size: tuple[int, int], view: Viewpoint, rng: np.random.Generator) -> Matrix:
    """A pinhole camera's homography: the page turned in its plane, seen from a leaning direction, made to fit."""
    turn = math.radians(rng.uniform(0.5, 1.0) * view.turn_deg * rng.choice((-1, 1)))
    tilt = math.radians(rng.uniform(0.75, 1.0) * view.tilt_deg)
    towards = rng.uniform(0, 2 * math.pi)
    reach = math.hypot(width, height)
    distance = 1.15 * reach
    axis = np.array([math.cos(towards), math.sin(towards), 0.0])
    rotation = cv2.Rodrigues(axis * tilt)[0] @ cv2.Rodrigues(np.array([0.0, 0.0, turn]))[0]
    plane = np.column_stack([rotation[:, 0], rotation[:, 1], [0.0, 0.0, distance]])
    centred = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 1]], np.float64)
    seen = plane @ centred
    corners = np.array([(0, 0, 1), (width, 0, 1), (width, height, 1), (0, height, 1)], np.float64) @ seen.T
    places = corners[:, :2] / corners[:, 2:]
    low, extent = places.min(axis=0), np.ptp(places, axis=0)
    zoom = float(min(size[0] / extent[0], size[1] / extent[1]) * rng.uniform(0.86, 0.93))
    spare = np.array(size) - extent * zoom
    left, top = spare * rng.uniform(0.35, 0.65, 2) - low * zoom
    matrix = np.array([[zoom, 0, left], [0, zoom, top], [0, 0, 1]], np.float64) @ seen
    normal: Matrix = matrix / matrix[2, 2]
    return normal


def _table(size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """A table top with a grain that runs along it."""
    width, height = size
    grain = cv2.GaussianBlur(rng.normal(0, 1, (height, width)).astype(np.float32), (0, 0), sigmaX=40.0, sigmaY=1.2)
    waves = cv2.GaussianBlur(rng.normal(0, 1, (height, width)).astype(np.float32), (0, 0), sigmaX=120.0, sigmaY=12.0)
    texture = grain / grain.std() * 7 + waves / waves.std() * 9
    colour = np.array(_TABLES[int(rng.integers(len(_TABLES)))], np.float32)
    pixels: NDArray[np.float32] = np.clip(colour + texture[:, :, np.newaxis], 0, 255)
    return pixels


def _light(size: tuple[int, int], shadow: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """A lamp from one side, and the soft shadow of the hand or the phone over a part of the picture."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = rng.uniform(0, 2 * math.pi)
    ramp = (x / width - 0.5) * math.cos(angle) + (y / height - 0.5) * math.sin(angle)
    lamp = 0.9 + 0.2 * ramp
    edge = rng.uniform(0, 2 * math.pi)
    middle = rng.uniform(0.35, 0.65, 2)
    side = (x / width - middle[0]) * math.cos(edge) + (y / height - middle[1]) * math.sin(edge)
    dark = 1 / (1 + np.exp(-side / 0.03))
    light: NDArray[np.float32] = (lamp * (1 - (1 - shadow) * dark)).astype(np.float32)
    return light
