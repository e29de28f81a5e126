"""Lines whose box is higher than their glyphs, cut to the ink: where a line stands decides on its row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np

from ocr_gateway.tables.level import Grey
from ocr_gateway.tables.pieces import Piece

# In heights of the page's text: boxes that are looked at, and the least ink that makes a line.
_TALL_HEIGHTS = (1.15, 2.2)
_LEAST_HEIGHTS = 0.3
# Grey levels between the darkest and the lightest pixel, below which there is nothing to see.
_LEAST_CONTRAST = 30
_GAP_PX = 2


def fitted(pieces: Sequence[Piece], grey: Grey, text_px: float) -> list[Piece]:
    """The pieces, those of lines higher than the page's text cut to the rows of the image that have most of their ink.

    Pieces of one line must follow each other; ``grey`` is the levelled page, dark on light.
    """
    low, high = _TALL_HEIGHTS
    found: list[Piece] = []
    for _, members in groupby(pieces, key=lambda each: each.line):
        line = list(members)
        top, bottom = min(each.top for each in line), max(each.bottom for each in line)
        if low * text_px < bottom - top < high * text_px:
            left, right = min(each.left for each in line), max(each.right for each in line)
            inked = _ink_rows(grey[max(int(top), 0) : int(bottom) + 1, max(int(left), 0) : int(right) + 1])
            if inked is not None and inked[1] - inked[0] >= _LEAST_HEIGHTS * text_px:
                top, bottom = max(int(top), 0) + inked[0], max(int(top), 0) + inked[1]
                line = [replace(each, top=float(top), bottom=float(bottom)) for each in line]
        found.extend(line)
    return found


def _ink_rows(crop: Grey) -> tuple[int, int] | None:
    """First and last (exclusive) row of the stretch with the most ink."""
    if not crop.size or int(crop.max()) - int(crop.min()) < _LEAST_CONTRAST:
        return None
    ink = (crop < (int(crop.max()) + int(crop.min())) / 2).sum(axis=1)
    rows = np.flatnonzero(ink)
    stretches = np.split(rows, np.flatnonzero(np.diff(rows) > _GAP_PX) + 1)
    best = max(stretches, key=lambda stretch: int(ink[stretch].sum()))
    return int(best[0]), int(best[-1]) + 1
