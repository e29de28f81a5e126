"""RapidOCR reads pages whichever way up they stand, and its boxes end where the ink ends."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from PIL import Image

from ocr_gateway.errors import FieldInvalid, ProviderNotConfigured
from ocr_gateway.model import Feature, Line, Page, ProviderCall, ProviderState
from ocr_gateway.providers import rapid_ocr, rapid_reader
from ocr_gateway.providers.rapid_ocr import RapidOcrProvider
from tests.fakes.text_pages import TextPage, png_of, text_page

TEXTS = [
    "The quick brown fox jumps",
    "over 13 lazy dogs; Typing: jig",
    "Total amount 1,234.56 EUR",
    "niece union sauce",
]
PAGE = text_page(TEXTS)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider() -> AsyncIterator[RapidOcrProvider]:
    provider = RapidOcrProvider(1)
    await provider.start()
    yield provider
    await provider.close()


async def read(provider: RapidOcrProvider, image: bytes, **options: str) -> Page:
    call = ProviderCall(image=image, media_type="", width=1, height=1, feature=Feature.TEXT, options=options)
    return (await provider.recognize(call)).page


async def test_an_item_of_several_features_is_read_once(
    provider: RapidOcrProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each feature gets what it gets alone, from one reading; asked for once more the page is read once more."""
    readings = []
    real = rapid_reader.read_page

    def counted(*given: Any) -> Page:
        readings.append(1)
        return real(*given)

    async def read_for(feature: Feature, *others: Feature) -> Page:
        call = ProviderCall(PAGE.png(0), "", 1, 1, feature, also=frozenset(others))
        return (await provider.recognize(call)).page

    monkeypatch.setattr(rapid_ocr, "read_page", counted)
    text, table, card = Feature.TEXT, Feature.TABLE, Feature.ID_DOCUMENT
    alone = [await read_for(feature) for feature in (text, table, card)]
    assert len(readings) == 3
    for total in (4, 5):
        together = [
            await read_for(text, table, card), await read_for(table, text, card), await read_for(card, text, table)
        ]  # fmt: skip
        assert together == alone
        assert len(readings) == total
    changed = ProviderCall(PAGE.png(1), "", 1, 1, table, also=frozenset({text, card}))
    await read_for(text, table, card)
    await provider.recognize(changed)
    assert len(readings) == 7


def lines_of(page: Page) -> list[Line]:
    return [line for block in page.blocks for line in block.lines]


def turned(corners: list[tuple[float, float]], quarters: int, page: TextPage) -> list[tuple[float, float]]:
    """Where points of the upright page stand on its copy turned counter-clockwise."""
    height, width = page.pixels.shape[:2]
    for _ in range(quarters):
        corners = [(y, width - x) for x, y in corners]
        width, height = height, width
    return corners


def assert_fits(page: Page, drawn: TextPage, *, quarters: int = 0, scale: float = 1.0) -> None:
    lines = lines_of(page)
    assert [line.text for line in lines] == [line.text for line in drawn.lines]
    for line, ink in zip(lines, drawn.lines, strict=True):
        assert line.polygon is not None
        expected = [(x * scale, y * scale) for x, y in turned(ink.corners, quarters, drawn)]
        for (x, y), (drawn_x, drawn_y) in zip(line.polygon, expected, strict=True):
            assert abs(x - drawn_x) <= 2
            assert abs(y - drawn_y) <= 2
        assert [word.text for word in line.words] == ink.text.split()
        xs, ys = zip(*line.polygon, strict=True)
        for x, y in (point for word in line.words for point in word.polygon):
            assert min(xs) - 0.01 <= x <= max(xs) + 0.01
            assert min(ys) - 0.01 <= y <= max(ys) + 0.01


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
async def test_a_turned_page_is_read_the_right_way_up(provider: RapidOcrProvider, quarters: int) -> None:
    """Whichever way up, the lines come in order, and each box starts at its text's own top left, within 2 px."""
    assert_fits(await read(provider, PAGE.png(quarters)), PAGE, quarters=quarters)


@pytest.mark.parametrize("scale", [0.5, 2.0])
async def test_boxes_fit_at_any_scale(provider: RapidOcrProvider, scale: float) -> None:
    """Small and large pages keep the 2 px."""
    image = Image.fromarray(PAGE.pixels)
    size = (round(image.width * scale), round(image.height * scale))
    page = await read(provider, png_of(np.asarray(image.resize(size, Image.Resampling.BICUBIC))))
    assert_fits(page, PAGE, scale=scale)


async def test_light_text_on_dark_paper_fits_too(provider: RapidOcrProvider) -> None:
    """Ink is what differs from the paper, whichever is darker."""
    drawn = text_page(TEXTS, ink=(255, 255, 255), paper=(20, 30, 90))
    assert_fits(await read(provider, drawn.png()), drawn)


async def test_tight_lines_do_not_take_each_others_ink(provider: RapidOcrProvider) -> None:
    """Lines set solid keep to their own rows."""
    drawn = text_page(TEXTS, leading=1.1)
    assert_fits(await read(provider, drawn.png()), drawn)


async def test_palette_and_transparency_are_read(provider: RapidOcrProvider) -> None:
    """Black text of a palette image and on a transparent ground is seen as a person sees it."""
    image = Image.fromarray(PAGE.pixels)
    clear = Image.new("RGBA", image.size)
    clear.putalpha(Image.fromarray(255 - PAGE.pixels[:, :, 0]))
    for variant in (image.quantize(16), clear):
        out = io.BytesIO()
        variant.save(out, "PNG")
        assert [line.text for line in lines_of(await read(provider, out.getvalue()))] == TEXTS


async def test_columns_of_running_text_are_read_one_after_the_other(provider: RapidOcrProvider) -> None:
    """Each column is a block, in order from the left."""
    left = [
        "the first column has",
        "lines that are all of",
        "about the same length",
        "so that it is clearly",
        "a column of its text",
    ]
    right = [
        "and the second column",
        "goes on from where the",
        "first one has come to",
        "its end and not before",
        "it has been read there",
    ]
    halves = [text_page(texts, width=400).pixels for texts in (left, right)]
    page = await read(provider, png_of(np.concatenate(halves, axis=1)))
    assert [[line.text for line in block.lines] for block in page.blocks] == [left, right]


@pytest.mark.parametrize("text", ["Item 1", "Item 11", "Item 17", "tiff page", "OK"])
async def test_a_small_label_is_read_as_one_line(provider: RapidOcrProvider, text: str) -> None:
    """An image of 300 x 60 px is not torn into pieces."""
    label = text_page([text], width=300).pixels[15:75]
    assert [line.text for line in lines_of(await read(provider, png_of(label)))] == [text]


@pytest.mark.parametrize(("size", "margin"), [(200, 20), (350, 350), (500, 40), (500, 400)])
async def test_large_glyphs_are_read_as_one_line(provider: RapidOcrProvider, size: int, margin: int) -> None:
    """Text up to 500 px high, tightly cut or far from the edges, is one line with its box on the ink."""
    drawn = text_page(["SALE 1"], size=size, width=size * 3 + 2 * margin, left=margin)
    (line,) = lines_of(await read(provider, drawn.png()))
    assert line.text == "SALE 1"
    assert line.polygon is not None
    for (x, y), (drawn_x, drawn_y) in zip(line.polygon, drawn.lines[0].corners, strict=True):
        assert abs(x - drawn_x) <= 2
        assert abs(y - drawn_y) <= 2


async def test_small_text_beside_large_glyphs_is_kept(provider: RapidOcrProvider) -> None:
    """A poster's heading does not take the small print with it, nor is the small print joined."""
    heading = text_page(["SALE"], size=400, width=1400)
    print_ = text_page(TEXTS, width=1400)
    page = await read(provider, png_of(np.concatenate([heading.pixels, print_.pixels])))
    assert [line.text for line in lines_of(page)] == ["SALE", *TEXTS]


@pytest.mark.parametrize("size", [10, 12])
async def test_a_page_of_low_resolution_is_read(provider: RapidOcrProvider, size: int) -> None:
    """Running text of a page at 50 to 72 dpi."""
    drawn = Image.fromarray(text_page(TEXTS * 5, size=size * 3, width=size * 120).pixels)
    small = drawn.resize((drawn.width // 3, drawn.height // 3), Image.Resampling.BICUBIC)
    assert [line.text for line in lines_of(await read(provider, png_of(np.asarray(small))))] == TEXTS * 5


async def test_the_score_option_leaves_out_what_is_read_badly(provider: RapidOcrProvider) -> None:
    """No line is sure to the last digit, and any line is at least worth nothing."""
    assert lines_of(await read(provider, PAGE.png(), text_score="1")) == [
        line for line in lines_of(await read(provider, PAGE.png(), text_score="0")) if line.confidence == 1
    ]


@pytest.mark.parametrize("value", ["1.5", "-0.1", "nan", "high", ""])
async def test_a_score_that_is_none_is_refused(provider: RapidOcrProvider, value: str) -> None:
    """The option is a number from 0 to 1."""
    with pytest.raises(FieldInvalid, match="text_score"):
        await read(provider, PAGE.png(), text_score=value)


async def test_its_model_names_library_and_models(provider: RapidOcrProvider) -> None:
    """What the cache's key and the answer's provenance need."""
    assert provider.status.model.startswith("rapidocr-3.")
    assert provider.status.model.endswith("/PP-OCRv6-small")


async def test_without_the_library_it_is_not_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    """The status says why, and calls are refused, those too that came while it was loading."""

    def missing() -> object:
        raise ImportError("No module named 'rapidocr'")

    monkeypatch.setattr(rapid_ocr, "RapidEngine", missing)
    provider = RapidOcrProvider(2)
    await provider.start()
    for _ in range(2):
        with pytest.raises(ProviderNotConfigured, match="No module named"):
            await read(provider, PAGE.png())
    assert provider.status.state is ProviderState.NOT_CONFIGURED
    assert "No module named" in provider.status.detail
    await provider.close()
