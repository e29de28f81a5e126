"""Which way up the text of a page stands.

A small network tells of a crop how much like upright text it looks. It looks at each crop in all four directions, and
the page's crops decide together. It was trained on drawn text: Chinese, Japanese and Korean, Latin and Cyrillic, in
rows, and Chinese in columns too, where characters stand upright, so that a page of columns is not turned.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from preprocess_service.measures.glyph_crops import glyph_crops
from preprocess_service.measures.ink import Floats, Ink, Pixels
from preprocess_service.measures.skew import RoughAngles

_WEIGHTS = Path(__file__).with_name("text_turn_weights.npz")
_MIN_CROPS = 6
_MIN_MEAN_MARGIN = 0.4
_MIN_MARGIN = 13.0
_OTHER_WAY_SHARE = 2.0

Singles = npt.NDArray[np.float32]


def quarter_turns(sheet: Pixels, ink: Ink, angles: RoughAngles) -> int | None:
    """Quarter turns counter-clockwise that bring the text upright: 1 to 3 only when sure, else 0; None without text.

    ``angles`` are those of the lines. A turn needs at least six characters whose evidence for it is strong all
    together and in the mean, twice as strong where the lines do not run as they would on such a page.
    """
    crops = glyph_crops(sheet, ink, angles.clearer.skew_deg)
    if not len(crops):
        return None
    if len(crops) < _MIN_CROPS:
        return 0
    evidence = turn_evidence(crops)
    best = int(np.argmax(evidence))
    others = np.delete(evidence, best)
    margin = float(evidence[best] - others.max())
    needed = 1.0 if _runs_along(angles, best) else _OTHER_WAY_SHARE
    is_sure = margin >= needed * _MIN_MEAN_MARGIN and margin * len(crops) >= needed * _MIN_MARGIN
    return best if is_sure else 0


def turn_evidence(crops: Singles) -> Floats:
    """The mean logarithm of the probability, over the crops, of each number of turns that could bring them upright."""
    return np.asarray(_network().log_probabilities(crops).mean(axis=0))


def _runs_along(angles: RoughAngles, turns: int) -> bool:
    """Whether the lines run across the picture, or down it for an odd number of turns; or no lines are seen at all."""
    along, other = (angles.across, angles.down) if turns % 2 == 0 else (angles.down, angles.across)
    return other is None or (along is not None and along.clearness >= other.clearness)


@dataclass(frozen=True, slots=True)
class TurnNetwork:
    """Two layers of rectified sums and a last sum, which tells how much like upright text a crop looks."""

    first: Singles
    first_bias: Singles
    second: Singles
    second_bias: Singles
    third: Singles

    @classmethod
    def load(cls, path: Path) -> TurnNetwork:
        """The network that was saved there. Raises OSError when there is no such file."""
        with np.load(path, allow_pickle=False) as weights:
            return cls(**{name: np.asarray(weights[name], np.float32) for name in weights.files})

    def save(self, path: Path) -> None:
        """Writes it with the layers' weights in half precision. Raises OSError when it cannot."""
        with path.open("wb") as file:
            np.savez_compressed(
                file,
                first=self.first.astype(np.float16),
                first_bias=self.first_bias,
                second=self.second.astype(np.float16),
                second_bias=self.second_bias,
                third=self.third,
            )

    def log_probabilities(self, crops: Singles) -> Floats:
        """Crops x 4: the logarithm of the probability of each number of turns that could bring each crop upright."""
        turned = np.concatenate([np.rot90(crops, turns, axes=(1, 2)) for turns in range(4)])
        looks = self._uprightness(turned).reshape(4, -1).T
        looks = looks - looks.max(axis=1, keepdims=True)
        return np.asarray(looks - np.log(np.exp(looks).sum(axis=1, keepdims=True)))

    def _uprightness(self, crops: Singles) -> Floats:
        values = crops.reshape(len(crops), -1) - np.float32(0.25)
        values = np.maximum(values @ self.first + self.first_bias, 0)
        values = np.maximum(values @ self.second + self.second_bias, 0)
        return np.asarray(values @ self.third, np.float64)


@functools.cache
def _network() -> TurnNetwork:
    return TurnNetwork.load(_WEIGHTS)
