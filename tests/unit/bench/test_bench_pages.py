"""The pages that benchmarks are made with."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.bench.document_pages import DOCUMENTS, number_on
from tests.bench.scan_pages import COUNT, HEIGHT, WIDTH, ScanPages, scan_page

_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def _pixels(content: bytes) -> np.ndarray:
    decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(decoded)


def test_a_scan_is_a_whole_a4_jpeg_of_one_to_two_megabytes() -> None:
    """Put together from rows, it is decoded by a strict reader to its full extent, at 300 dpi."""
    content = scan_page(4_711)
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        assert image.format == "JPEG"
        assert image.size == (WIDTH, HEIGHT)
        assert image.info["dpi"] == (300, 300)
    assert 1_000_000 < len(content) < 2_000_000


def test_scans_differ_in_their_label_lines_alone() -> None:
    """Two numbers of one body give different pixels, and only where the digits stand."""
    one, other = _pixels(scan_page(0)), _pixels(scan_page(44_444))
    rows, columns = np.nonzero((one != other).any(axis=2))
    assert rows.size
    assert rows.max() < 550
    assert 480 < columns.min() <= columns.max() < 560


def test_scans_are_made_anew_and_alike() -> None:
    """A sequence of pages holds none, gives equal ones each time, and shares of it keep their ids."""
    pages = ScanPages(range(8))
    assert pages[3] == pages[3]
    assert [request_id for request_id, _ in pages[1::4]] == ["1", "5"]
    assert len({content for _, content in pages}) == 8
    with pytest.raises(ValueError, match="numbered from 0"):
        ScanPages(range(COUNT - 1, COUNT + 1))


def test_a_documents_pages_tell_their_numbers() -> None:
    """The squares at the foot of a TIFF's pages give each page's own number."""
    content = DOCUMENTS["TIFF, grey (JPEG, 150 dpi)"](3)
    with Image.open(io.BytesIO(content)) as document:
        found = []
        for place in range(3):
            document.seek(place)
            page = cv2.imencode(".png", np.asarray(document.convert("L")))[1].tobytes()
            found.append(number_on(page, _IDENTITY, document.size))
    assert found == [1, 2, 3]
