"""Regions in one image, read by real engines: the same text as when each comes alone."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator

import numpy as np
import pytest
import pytest_asyncio

from ocr_gateway.image_header import read_header
from ocr_gateway.image_pixels import crop_pngs, encode_png
from ocr_gateway.model import Feature, ImageLimits, Page, ProviderCall, Rect
from ocr_gateway.mosaic import make_mosaics
from ocr_gateway.mosaic_reading import split_page
from ocr_gateway.providers.rapid_ocr import RapidOcrProvider
from ocr_gateway.providers.tesseract import TesseractProvider
from tests.fakes.text_pages import text_page

pytestmark = pytest.mark.asyncio(loop_scope="module")

FRAGMENTS = (
    (["Invoice number 2024-1187"], 28, 40, 30),
    (["Order date 2024-05-31"], 28, 640, 30),
    (["TOTAL 1234.56"], 72, 40, 160),
    (["Deliver to:", "Jane Miller", "Harbour Street 42", "Rotterdam"], 24, 640, 160),
    (["Reference AB-7781"], 16, 40, 420),
    (["Paid by bank transfer"], 34, 40, 520),
    (["Page three of ten"], 20, 640, 520),
)
"""Lines, their size, and the place on the page, pixels."""


def page() -> tuple[bytes, list[Rect], list[list[str]]]:
    """A form as a PNG, a region for each of its fragments, and what they say."""
    pixels = np.full((700, 1300, 3), 255, np.uint8)
    rects = []
    for texts, size, left, top in FRAGMENTS:
        fragment = text_page(texts, size=size, width=580, left=12).pixels
        height, width = fragment.shape[:2]
        pixels[top : top + height, left : left + width] = fragment
        rects.append(Rect(left, top, width, height))
    return encode_png(pixels), rects, [texts for texts, *_ in FRAGMENTS]


Engine = RapidOcrProvider | TesseractProvider


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[RapidOcrProvider, TesseractProvider])
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[Engine]:
    if request.param is TesseractProvider and shutil.which("tesseract") is None:
        pytest.skip("the tesseract program is not installed")
    provider: Engine = request.param(1)
    await provider.start()
    yield provider
    await provider.close()


async def read(engine: Engine, image: bytes) -> Page:
    header = read_header(image)
    call = ProviderCall(image, header.media_type, header.width, header.height, Feature.TEXT)
    return (await engine.recognize(call)).page


def lines_of(page: Page) -> list[str]:
    return [line.text for block in page.blocks for line in block.lines]


async def test_the_same_is_read_of_a_mosaic_as_of_each_region(engine: Engine) -> None:
    """Seven regions of other sizes of print: one call, every region's lines as alone, and their places within 4 px."""
    content, rects, texts = page()
    mosaics = make_mosaics(content, rects, ImageLimits())
    assert len(mosaics) == 1
    together = split_page(await read(engine, mosaics[0].image), mosaics[0].tiles)
    for tile, of_region in zip(mosaics[0].tiles, together, strict=True):
        alone = await read(engine, crop_pngs(content, [rects[tile.region]])[0])
        assert lines_of(of_region) == lines_of(alone) == texts[tile.region]
        for one, other in zip(of_region.blocks, alone.blocks, strict=True):
            for line, same in zip(one.lines, other.lines, strict=True):
                assert np.abs(np.array(line.polygon) - np.array(same.polygon)).max() <= 4.0
