"""``python -m tests.bench.page_loop WORK THREADS PAGES``: pages made in a bare loop, without services or processes.

WORK is ``{"profile": …, "overrides": {…}}``: the service's own steps, called as its workers call them; or one of
CALLS by its name. For each line on standard input the scans 0 to PAGES - 1 are made once, by so many threads, and the
seconds that took are printed. OpenCV's own threads are off, as they only take each other's cores; those of the linear
algebra are the caller's to turn off, by the environment.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from preprocess_service.decoders.opening import open_document
from preprocess_service.model import Reader, Source, SourceLimits
from preprocess_service.page_making import make_page
from preprocess_service.page_order import PageOrder
from preprocess_service.profiles import resolve
from tests.bench.loop_process import seconds_in_threads, serve_rounds
from tests.bench.scan_pages import QUALITY, scan_page

Work = Callable[[bytes], object]


def classic(content: bytes) -> object:
    """What the profile ``classic`` comes down to, by hand."""
    blurred = cv2.GaussianBlur(_decoded(content, cv2.IMREAD_GRAYSCALE), (3, 3), 0)
    _, bilevel = cv2.threshold(blurred, 150, 255, cv2.THRESH_BINARY)
    return cv2.imencode(".png", bilevel, [cv2.IMWRITE_PNG_BILEVEL, 1])


def grey_codec(content: bytes) -> object:
    """Decoded in grey and encoded again."""
    return _as_jpeg(_decoded(content, cv2.IMREAD_GRAYSCALE))


def colour_codec(content: bytes) -> object:
    """Decoded in colour and encoded again."""
    return _as_jpeg(_decoded(content, cv2.IMREAD_COLOR))


CALLS: dict[str, Work] = {"classic": classic, "grey codec": grey_codec, "colour codec": colour_codec}


def by_profile(name: str, overrides: dict[str, str]) -> Work:
    """The steps of a profile, for no reader in particular."""
    order = PageOrder(resolve(name, overrides), Reader(), may_tile=False)
    limits = SourceLimits()

    def make(content: bytes) -> object:
        document = open_document(Source(content), limits)
        try:
            return make_page(document, 1, order)
        finally:
            document.close()

    return make


def _decoded(content: bytes, flags: int) -> npt.NDArray[np.uint8]:
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    if pixels is None:
        raise ValueError("the page is damaged")
    return np.asarray(pixels, np.uint8)


def _as_jpeg(pixels: npt.NDArray[np.uint8]) -> object:
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])


def main(work: str, threads: int, pages: int) -> None:
    """Draws the pages, then makes them as often as it is told to."""
    cv2.setNumThreads(1)
    calls = CALLS.get(work)
    if calls is None:
        said = json.loads(work)
        calls = by_profile(said["profile"], said["overrides"])
    contents = [scan_page(number) for number in range(pages)]
    serve_rounds(lambda: seconds_in_threads([calls] * threads, contents))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
