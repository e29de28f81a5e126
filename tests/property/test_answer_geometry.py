"""Boxes in the answer lie where the ink was drawn, whatever the page was turned, scaled and encoded to."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from ocr_gateway.model import PagePreference
from ocrmux.ocr.v1 import document_pb2
from ocrmux.preprocess.v1 import preprocess_pb2
from tests.fakes.images import InkBox, encoded, page_with_ink, stored_with_orientation
from tests.fakes.preprocess_readers import FussyProvider
from tests.fakes.providers import ScriptedProvider, ink_of
from tests.fakes.servers import RunningPair, running_pair

TOLERANCE_PX = 2.0
Read = Callable[[bytes, dict[str, str]], document_pb2.Page]
Corner = tuple[float, float]


class _PairInThread:
    """Both services on a loop of their own, for tests that are not coroutines."""

    def __init__(self, *providers: ScriptedProvider) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._context = running_pair(*providers)
        self._pair: RunningPair = self._run(self._context.__aenter__())

    def read(self, content: bytes, overrides: dict[str, str]) -> document_pb2.Page:
        """The page as the caller gets it."""
        request = preprocess_pb2.RecognizeRequest(
            normalization=preprocess_pb2.NormalizationConfig(overrides=overrides),
            item=preprocess_pb2.SourceItem(image={"content": content}),  # type: ignore[arg-type]
        )

        async def call() -> Any:
            return await self._pair.stub.Recognize(request, timeout=60)

        page: document_pb2.Page = self._run(call()).answers[0].document.pages[0]
        return page

    def close(self) -> None:
        """Stops both and the loop."""
        self._run(self._context.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(120)


@pytest.fixture(scope="module")
def read_ink() -> Iterator[Read]:
    """Reads through both services with a provider that finds ink exactly."""
    running = _PairInThread(ScriptedProvider(ink_of))
    yield running.read
    running.close()


@pytest.fixture(scope="module")
def read_text() -> Iterator[Read]:
    """Reads through both services with the embedded default engine."""
    running = _PairInThread()
    yield running.read
    running.close()


def lines_of(page: document_pb2.Page) -> list[document_pb2.Line]:
    """All lines of the page."""
    return [line for block in page.blocks for line in block.lines]


def corners_of(line: document_pb2.Line) -> list[Corner]:
    """The line's corners."""
    return [(point.x, point.y) for point in line.polygon.points]


def upright_box(corners: list[Corner]) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the corners."""
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    return min(xs), min(ys), max(xs), max(ys)


@st.composite
def ink_boxes(draw: st.DrawFn) -> tuple[int, int, list[InkBox]]:
    """A page's extent and boxes on it that do not touch: one in each cell of a grid of three columns."""
    cell = draw(st.integers(24, 60))
    rows = draw(st.integers(1, 4))
    boxes = []
    for index in range(draw(st.integers(1, 3 * rows))):
        left, top = (index % 3) * cell, (index // 3) * cell
        x, y = draw(st.integers(4, cell // 2)), draw(st.integers(4, cell // 2))
        width, height = draw(st.integers(6, cell - x - 4)), draw(st.integers(6, cell - y - 4))
        boxes.append(InkBox(left + x, top + y, width, height))
    return 3 * cell, rows * cell, boxes


@settings(max_examples=60, deadline=None)
@given(
    page=ink_boxes(),
    orientation=st.integers(1, 8),
    given_scale=st.sampled_from([0.5, 1.0, 2.0]),
    made_scale=st.sampled_from([0.5, 1.0, 2.0]),
    file_format=st.sampled_from(["PNG", "JPEG", "TIFF"]),
)
def test_ink_is_where_it_was_drawn(
    read_ink: Read,
    page: tuple[int, int, list[InkBox]],
    orientation: int,
    given_scale: float,
    made_scale: float,
    file_format: str,
) -> None:
    """A page given turned by its tag and at half or twice its size, and made half or twice as large for the engine."""
    factor = int(given_scale * 2)
    width, height, boxes = page[0] * factor, page[1] * factor, page[2]
    drawn = [InkBox(b.x * factor, b.y * factor, b.width * factor, b.height * factor) for b in boxes]
    options = {"quality": 95} if file_format == "JPEG" else {}
    content = stored_with_orientation(page_with_ink(width, height, *drawn), orientation, file_format, **options)
    overrides = {"scale.min_side_px": "0"}
    if made_scale < 1:
        overrides["scale.max_side_px"] = str(max(width, height) // 2)
    elif made_scale > 1:
        overrides["scale.min_side_px"] = str(min(width, height) * 2)
    answer = read_ink(content, overrides)
    assert (answer.size.width, answer.size.height) == (width, height)
    found = [upright_box(corners_of(line)) for line in lines_of(answer)]
    assert len(found) == len(drawn)
    for box in drawn:
        want = (box.x, box.y, box.x + box.width, box.y + box.height)
        nearest = min(found, key=lambda got: sum(abs(a - b) for a, b in zip(got, want, strict=True)))
        found.remove(nearest)
        assert nearest == pytest.approx(want, abs=TOLERANCE_PX)


TEXTS = ("Quick brown fox", "jumps over 1234", "LAZY DOG 5678")


def text_page(scale: float) -> tuple[Image.Image, list[tuple[float, float, float, float]]]:
    """A page of three lines at this scale, and the extent of each line's ink."""
    picture = Image.new("RGB", (round(420 * scale), round(200 * scale)), "white")
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(round(30 * scale))
    boxes = []
    for row, text in enumerate(TEXTS):
        place = (round(30 * scale), round((20 + 55 * row) * scale))
        pen.text(place, text, fill="black", font=font)
        alone = Image.new("L", picture.size, 255)
        ImageDraw.Draw(alone).text(place, text, fill=0, font=font)
        left, top, right, bottom = alone.point(lambda value: 255 if value < 128 else 0).getbbox() or (0, 0, 0, 0)
        boxes.append((float(left), float(top), float(right), float(bottom)))
    return picture, boxes


@pytest.mark.parametrize("scale", [1.0, 2.0])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_text_is_where_it_was_drawn(read_text: Read, orientation: int, scale: float) -> None:
    """The embedded engine's lines on a page turned by its tag, once and twice as large: corners on the ink."""
    picture, expected = text_page(scale)
    answer = read_text(stored_with_orientation(picture, orientation, "PNG"), {})
    lines = lines_of(answer)
    assert [line.text.replace(" ", "") for line in lines] == [text.replace(" ", "") for text in TEXTS]
    for line, (left, top, right, bottom) in zip(lines, expected, strict=True):
        wanted = [(left, top), (right, top), (right, bottom), (left, bottom)]
        for got, want in zip(corners_of(line), wanted, strict=True):
            assert got == pytest.approx(want, abs=TOLERANCE_PX)


@pytest.mark.parametrize("made", [{"scale.max_side_px": "420"}, {"scale.min_side_px": "800"}], ids=["half", "twice"])
def test_text_is_where_it_was_drawn_on_a_scaled_page(read_text: Read, made: dict[str, str]) -> None:
    """The same when preprocessing halves or doubles the page before the engine reads it."""
    picture, expected = text_page(2.0)
    out = io.BytesIO()
    picture.save(out, "PNG")
    lines = lines_of(read_text(out.getvalue(), made))
    assert [line.text.replace(" ", "") for line in lines] == [text.replace(" ", "") for text in TEXTS]
    for line, (left, top, right, bottom) in zip(lines, expected, strict=True):
        assert upright_box(corners_of(line)) == pytest.approx((left, top, right, bottom), abs=TOLERANCE_PX)


MARKS = tuple(InkBox(80 + 300 * column, 150 + 330 * row, 120, 36) for row in range(3) for column in range(3))


def marked_page() -> npt.NDArray[np.uint8]:
    """A page of text, 1000 x 1100 px, with solid marks in it that are found whatever is done to it."""
    picture = Image.new("L", (1000, 1100), 244)
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(26)
    for y in range(60, 1040, 42):
        pen.text((70, y), "The quick brown fox jumps over the lazy dog, 1234567 times a day", fill=30, font=font)
    for mark in MARKS:
        pen.rectangle((mark.x - 12, mark.y - 12, mark.x + mark.width + 11, mark.y + mark.height + 11), fill=244)
        pen.rectangle((mark.x, mark.y, mark.x + mark.width - 1, mark.y + mark.height - 1), fill=10)
    return np.asarray(picture)


def _turned(angle_deg: float) -> npt.NDArray[np.float64]:
    """Takes the page to a canvas of 1300 x 1400 px, turned about its middle."""
    matrix = cv2.getRotationMatrix2D((500, 550), angle_deg, 1.0)
    matrix[:, 2] += (150, 150)
    return np.vstack([matrix, (0, 0, 1)])


def _seen(*corners: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Takes the page's corners to these of the canvas."""
    page = np.array([(0, 0), (1000, 0), (1000, 1100), (0, 1100)], np.float32)
    return np.asarray(cv2.getPerspectiveTransform(page, np.array(corners, np.float32)), np.float64)


@pytest.fixture(scope="module", params=list(PagePreference))
def read_for(request: pytest.FixtureRequest) -> Iterator[Read]:
    """Reads through both services with a provider that finds ink and wants its pages in one of the three ways."""
    running = _PairInThread(FussyProvider(ink_of, preference=request.param))
    yield running.read
    running.close()


@pytest.mark.parametrize(
    ("to_canvas", "around"),
    [
        (_turned(0), 244),
        (_turned(4.3), 244),
        (_turned(-11), 244),
        (_turned(90), 244),
        (_turned(182.5), 244),
        (_turned(3), 50),
        (_seen((170, 120), (1130, 190), (1210, 1290), (110, 1200)), 60),
    ],
    ids=["level", "falls", "rises", "on its side", "on its head", "on a table", "photographed"],
)
def test_marks_are_where_they_were_drawn_whatever_was_mended(
    read_for: Read, to_canvas: npt.NDArray[np.float64], around: int
) -> None:
    """Skewed, turned, lying on a table or seen aslant: every corner of the answer is at its place in the source."""
    canvas = cv2.warpPerspective(
        marked_page(), to_canvas, (1300, 1400), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_CONSTANT, borderValue=around
    )
    answer = read_for(encoded(Image.fromarray(canvas), "PNG"), {})
    assert (answer.size.width, answer.size.height) == (1300, 1400)
    found = [upright_box(corners_of(line)) for line in lines_of(answer)]
    assert len(found) > len(MARKS)
    for mark in MARKS:
        (left, top), (right, bottom) = mark.corners
        corners = np.array([[(left, top), (right, top), (right, bottom), (left, bottom)]])
        want = upright_box([tuple(corner) for corner in cv2.perspectiveTransform(corners, to_canvas)[0]])
        nearest = min(found, key=lambda got: sum(abs(a - b) for a, b in zip(got, want, strict=True)))
        assert nearest == pytest.approx(want, abs=TOLERANCE_PX)
