"""Regions through both services: on cropped and photographed pages, on tiles, and for readers with limits of shape."""

from __future__ import annotations

import hashlib

import cv2
import numpy as np
import pytest
from PIL import Image

from ocr_gateway.model import ImageLimits
from ocrmux.ocr.v1 import image_pb2, recognition_pb2
from ocrmux.preprocess.v1 import preprocess_pb2
from tests.fakes.gateway_messages import outcome
from tests.fakes.images import InkBox, encoded, page_with_ink
from tests.fakes.preprocess_calls import answers_of
from tests.fakes.preprocess_messages import config, source
from tests.fakes.preprocess_readers import FussyProvider
from tests.fakes.providers import ScriptedProvider, ink_of
from tests.fakes.servers import running_pair

Place = tuple[float, float, float, float]
Region = dict[str, float]


def region(x: float, y: float, width: float, height: float) -> Region:
    """A region of the source."""
    return {"x": x, "y": y, "width": width, "height": height}


def places(answer: recognition_pb2.PageAnswer) -> list[Place]:
    """Left, top, right and bottom of each line, from the top to the bottom."""
    found: list[Place] = []
    for line in (line for block in answer.document.pages[0].blocks for line in block.lines):
        xs, ys = [point.x for point in line.polygon.points], [point.y for point in line.polygon.points]
        found.append((min(xs), min(ys), max(xs), max(ys)))
    return sorted(found, key=lambda place: place[1])


def on_a_table() -> bytes:
    """A page of lines that lies on a dark table: 900 x 1300 px at (150, 200) of 1200 x 1600 px."""
    pixels = np.full((1600, 1200), 40, np.uint8)
    pixels[200:1500, 150:1050] = 245
    words = np.where((np.arange(760) // 9) % 2, 30, 245).astype(np.uint8)
    for y in range(260, 1440, 40):
        pixels[y : y + 14, 220:980] = words
    return encoded(Image.fromarray(pixels), "PNG")


def photographed() -> bytes:
    """A page that lies aslant before the camera, so that its horizon crosses the picture of 1800 x 1900 px."""
    paper = np.full((1100, 1000, 3), 250, np.uint8)
    words = np.where((np.arange(840) // 8) % 2, 20, 250).astype(np.uint8)
    for y in range(80, 1040, 36):
        paper[y : y + 14, 80:920] = words[None, :, None]
    corners = np.array([(0, 0), (1000, 0), (1000, 1100), (0, 1100)], np.float32)
    seen = np.array([(550, 1100), (1250, 1100), (1550, 1800), (250, 1800)], np.float32)
    to_photo = cv2.getPerspectiveTransform(corners, seen)
    made = cv2.warpPerspective(paper, to_photo, (1800, 1900), borderValue=(40, 50, 60))
    return encoded(Image.fromarray(made), "PNG")


async def test_a_region_behind_the_horizon_of_a_photograph() -> None:
    """The whole picture as a region gives what is given without a region."""
    provider = ScriptedProvider(ink_of)
    content = photographed()
    async with running_pair(provider) as pair:
        whole, confined = await answers_of(
            pair,
            [
                config(ordered=True, profile="photo"),
                source("whole", content),
                source("region", content, regions=[region(0, 0, 1800, 1900)]),
            ],
        )
    assert "perspective" in {step.name for step in whole.steps}
    assert len(places(whole)) > 100
    assert confined.document == whole.document


async def test_a_region_in_the_border_that_was_cropped_away_is_empty() -> None:
    """Nobody is asked for it, by content or by digest; beside another region it costs that one nothing."""
    provider = FussyProvider(ink_of, limits=ImageLimits(min_side_px=15, max_aspect=4.0))
    content = on_a_table()
    claimed = image_pb2.ContentDigest(
        algorithm=image_pb2.DIGEST_ALGORITHM_SHA256, value=hashlib.sha256(content).digest()
    )
    outside, inside = region(5, 5, 60, 60), region(200, 250, 400, 200)
    by_digest = preprocess_pb2.StreamRecognizeRequest(
        item=preprocess_pb2.SourceItem(
            request_id="again",
            image=image_pb2.ImagePayload(digest=claimed),
            regions=[outside],  # type: ignore[list-item]
        )
    )
    async with running_pair(provider) as pair:
        (nothing,) = await answers_of(pair, [config(profile="photo"), source("a", content, regions=[outside])])
        (recalled,) = await answers_of(pair, [config(profile="photo"), by_digest])
        assert provider.calls == []
        (both,) = await answers_of(pair, [config(profile="photo"), source("b", content, regions=[outside, inside])])
    assert [outcome(answer) for answer in (nothing, recalled, both)] == ["OK"] * 3
    assert "crop" in {step.name for step in nothing.steps}
    for answer in (nothing, recalled):
        (page,) = answer.document.pages
        assert (page.number, page.size.width, page.size.height, page.text) == (1, 1200, 1600, "")
        assert (len(page.blocks), answer.last_page, answer.HasField("transform")) == (0, True, True)
        assert (answer.provenance.provider, answer.provenance.attempts, answer.provenance.billed_units) == ("", 0, 0)
        assert answer.provenance.cache == recognition_pb2.CACHE_OUTCOME_UNSPECIFIED
    assert [(call.width, call.height) for call in provider.calls] == [(400, 200)]
    assert len(places(both)) > 0


ROWS = tuple(InkBox(40, 30 + 40 * number, 200, 16) for number in range(70))


@pytest.mark.parametrize("limits", [ImageLimits(min_side_px=60), ImageLimits(max_aspect=2.0)], ids=["side", "aspect"])
async def test_a_thin_region_is_read_in_a_shape_that_its_reader_takes(limits: ImageLimits) -> None:
    """More is read around it, and only the line that lies in it is answered."""
    provider = FussyProvider(ink_of, limits=limits)
    content = encoded(page_with_ink(320, 400, *ROWS[:9]), "PNG")
    thin = region(0, ROWS[4].y - 4, 320, 24)
    async with running_pair(provider) as pair:
        (answer,) = await answers_of(pair, [config(profile="none"), source("a", content, regions=[thin])])
    assert outcome(answer) == "OK"
    (call,) = provider.calls
    assert call.height >= 60
    assert places(answer) == [pytest.approx((40, ROWS[4].y, 240, ROWS[4].y + 16), abs=2)]
    assert answer.document.pages[0].text.count("\n") == 0


@pytest.mark.parametrize(
    ("asked", "rows", "calls"),
    [
        (region(0, 2798, 320, 42), ROWS[-1:], 1),
        (region(0, 880, 320, 92), ROWS[22:24], 1),
        (region(0, 0, 320, 2840), ROWS, 4),
        (region(30, 0, 20, 2840), (), 4),
    ],
    ids=["at the end", "at a tile's edge", "everything", "a column"],
)
async def test_a_region_of_a_tiled_page_is_read_whatever_lies_on_a_tile(
    asked: Region, rows: tuple[InkBox, ...], calls: int
) -> None:
    """Thin at the page's end, over a tile's edge, the whole page, or narrow from top to bottom: taken and read once."""
    provider = FussyProvider(ink_of, limits=ImageLimits(max_aspect=3.0))
    content = encoded(page_with_ink(320, 2840, *ROWS), "PNG")
    async with running_pair(provider) as pair:
        (answer,) = await answers_of(pair, [config(profile="none"), source("a", content, regions=[asked])])
    assert outcome(answer) == "OK"
    assert len(provider.calls) == calls
    assert all(max(call.width, call.height) <= 3 * min(call.width, call.height) for call in provider.calls)
    want = [(box.x, box.y, box.x + box.width, box.y + box.height) for box in rows]
    assert places(answer) == [pytest.approx(place, abs=2) for place in want]


async def test_a_padded_page_is_answered_in_the_sources_size() -> None:
    """Its places need no moving, and yet the page that was read is larger than the source."""
    provider = FussyProvider(ink_of, limits=ImageLimits(min_side_px=200))
    content = encoded(page_with_ink(400, 50, InkBox(10, 10, 100, 20)), "PNG")
    async with running_pair(provider) as pair:
        (answer,) = await answers_of(pair, [config(profile="none"), source("a", content)])
    assert [(call.width, call.height) for call in provider.calls] == [(400, 200)]
    size = answer.document.pages[0].size
    assert (size.width, size.height) == (400, 50)
    assert places(answer) == [pytest.approx((10, 10, 110, 30), abs=2)]
