"""The embedded engine reads tables, ruled and not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from ocr_gateway.model import Feature, Page, ProviderCall, Table
from ocr_gateway.providers.rapid_ocr import RapidOcrProvider
from tests.fakes.table_score import Score, cell_score, structure_score
from tests.fakes.tables import missing_fonts, table_page
from tests.fakes.text_pages import png_of, text_page

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(bool(missing_fonts()), reason=f"not installed: {' '.join(missing_fonts())}"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider() -> AsyncIterator[RapidOcrProvider]:
    provider = RapidOcrProvider(1)
    await provider.start()
    yield provider
    await provider.close()


async def read(provider: RapidOcrProvider, image: bytes) -> Page:
    call = ProviderCall(image=image, media_type="image/png", width=1, height=1, feature=Feature.TABLE)
    return (await provider.recognize(call)).page


def texts_of(tables: tuple[Table, ...]) -> set[str]:
    return {cell.text for table in tables for cell in table.cells}


@pytest.mark.parametrize(("ruled", "least"), [(True, 0.98), (False, 0.9)])
async def test_drawn_tables_are_read(provider: RapidOcrProvider, ruled: bool, least: float) -> None:
    """Of ten pages each, cells come with their text, row, column and spans: F1 well over the 0.95 and 0.80 promised.

    What stands above and below a table is in no cell, and the page holds nothing but tables.
    """
    cells, structure = Score(), Score()
    for seed in range(10):
        drawn = table_page(seed, ruled=ruled)
        page = await read(provider, png_of(drawn.pixels))
        cells += cell_score(drawn, page.tables)
        structure += structure_score(drawn, page.tables)
        assert not page.blocks
        assert not page.fields
        assert not texts_of(page.tables) & set(drawn.outside)
    assert cells.drawn > 300
    assert cells.f1 >= least, f"cells {cells.f1:.3f}, structure {structure.f1:.3f}"


async def test_a_page_on_its_side_has_its_tables_where_they_stand(provider: RapidOcrProvider) -> None:
    """Turned by a quarter a table is read alike, and each cell's polygon lies where the cell was drawn."""
    drawn = table_page(4, ruled=True)
    page = await read(provider, png_of(np.rot90(drawn.pixels)))
    assert cell_score(drawn, page.tables).f1 == 1
    width = drawn.pixels.shape[1]
    places = {(cell.row, cell.column): cell.polygon for cell in page.tables[0].cells}
    for cell in drawn.cells:
        polygon = places[cell.row, cell.column]
        assert polygon is not None
        left, top, right, bottom = cell.box
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
        for (x, y), (u, v) in zip(polygon, corners, strict=True):
            assert abs(x - v) <= 4
            assert abs(y - (width - u)) <= 4


async def test_running_text_is_no_table(provider: RapidOcrProvider) -> None:
    """A page of text has no tables."""
    page = text_page(["The quick brown fox jumps", "over 13 lazy dogs; Typing: jig", "Total amount 1,234.56 EUR"])
    assert (await read(provider, page.png())).tables == ()


async def test_strokes_of_light_text_are_no_rules(provider: RapidOcrProvider) -> None:
    """The head of a form, light on dark, is read whole: the ground between its glyphs parts no cells."""
    label = Path(__file__).parents[2] / "samples" / "parcel_label.png"
    texts = texts_of((await read(provider, label.read_bytes())).tables)
    assert {"NORTHWIND EXPRESS", "标准快递"} <= texts
