"""``python -m tests.bench.scan_recipe URL REDIS_HOST:PORT WORKERS FIRST COUNT LOOKS``: the textbook recipe with scans.

As in ``textbook_recipe``, with the preprocessing that is usually written before it: colour to grey, 1200 x 800 whatever
the aspect, Gaussian blur, threshold at 150. Redis is asked by the SHA-256 of the raw file: LOOKS ``after`` the page is
prepared, as it is usually written, or ``before``. In its favour: OpenCV keeps each call to one thread (its own threads
cost it a fifth to a half under several workers), and pages are sent as PNG, a tenth of their size as JPEG.
"""

from __future__ import annotations

import sys

import cv2
import numpy as np

from tests.bench.scan_pages import draw_sheets, scan_page
from tests.bench.textbook_recipe import Recipe, store_at

WIDTH, HEIGHT = 1200, 800
THRESHOLD = 150


def prepared(content: bytes) -> bytes:
    """What the recipe sends."""
    colour = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if colour is None:
        raise ValueError("the image is damaged")
    grey = cv2.resize(cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY), (WIDTH, HEIGHT))
    _, bilevel = cv2.threshold(cv2.GaussianBlur(grey, (5, 5), 0), THRESHOLD, 255, cv2.THRESH_BINARY)
    return cv2.imencode(".png", bilevel)[1].tobytes()


def main(url: str, store: str, workers: int, numbers: range, *, looks_first: bool) -> None:
    """Runs it and says what came of it."""
    cv2.setNumThreads(1)
    recipe = Recipe(url, store_at(store), workers=workers, prepare=prepared, looks_first=looks_first)
    draw_sheets()
    print(recipe.report(recipe.read_all(scan_page(number) for number in numbers)))


if __name__ == "__main__":
    first, count = int(sys.argv[4]), int(sys.argv[5])
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), range(first, first + count), looks_first=sys.argv[6] == "before")
