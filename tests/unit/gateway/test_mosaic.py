"""Several regions in one image: how it is made, how what is read is divided, and what calls come of it."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from ocr_gateway.errors import FieldInvalid, ImageSideTooLong
from ocr_gateway.image_header import read_header
from ocr_gateway.image_pixels import encode_png
from ocr_gateway.model import (
    Block,
    Feature,
    ImageLimits,
    Line,
    Page,
    PageRequest,
    Polygon,
    ProviderCall,
    Recognition,
    RecognitionSpec,
    Rect,
    Word,
)
from ocr_gateway.mosaic import Tile, make_mosaics
from ocr_gateway.mosaic_reading import split_page
from ocrmux.ocr.v1 import document_pb2
from tests.fakes.colour_reader import colour_page, read_colours
from tests.fakes.recognizer_desk import Desk, Reader

TILES = (Tile(0, 0, 0, 100, 40), Tile(1, 140, 0, 100, 40))
"""Beside each other, 40 px apart."""


def box(left: float, top: float, right: float, bottom: float) -> Polygon:
    return ((left, top), (right, top), (right, bottom), (left, bottom))


def word(text: str, left: float, confidence: float | None = 0.5, width: float = 20) -> Word:
    return Word(text, confidence, box(left, 10, left + width, 30))


def page(*lines: Line, polygon: Polygon | None = None) -> Page:
    return Page(240, 40, (Block(lines, polygon),), languages=("en",))


def texts(page: Page) -> list[str]:
    return [line.text for block in page.blocks for line in block.lines]


def test_a_line_across_two_regions_is_divided_by_its_words() -> None:
    """Each part has its words, their text as the provider spaced it, their mean confidence, and their extent."""
    words = (word("No.", 10, 0.25), word("7", 40, 0.75), word("Sum:", 150), word("9", 200))
    left, right = split_page(page(Line("No.  7 Sum: 9", 0.9, box(10, 10, 220, 30), words)), TILES)
    assert (texts(left), texts(right)) == (["No.  7"], ["Sum: 9"])
    line = left.blocks[0].lines[0]
    assert line.confidence == 0.5
    assert line.polygon == box(10, 10, 60, 30)
    assert right.blocks[0].lines[0].polygon == box(10, 10, 80, 30)
    assert right.blocks[0].lines[0].words[0].polygon == box(10, 10, 30, 30)
    assert left.languages == right.languages == ("en",)


def test_a_line_whose_text_is_not_that_of_its_words_is_put_together_anew() -> None:
    """With blanks where the script has them."""
    words = (word("中", 10), word("文", 40), word("two", 150), word("words", 200))
    left, right = split_page(page(Line("中文 2 words", 0.9, box(10, 10, 220, 30), words)), TILES)
    assert (texts(left), texts(right)) == (["中文"], ["two words"])


def test_words_in_no_order_stay_with_their_regions() -> None:
    """A line that goes to and fro gives one line for each region."""
    words = (word("a", 10), word("x", 150), word("b", 40), word("y", 200))
    left, right = split_page(page(Line("a x b y", None, None, words)), TILES)
    assert (texts(left), texts(right)) == (["a b"], ["x y"])


def test_a_word_without_a_confidence_leaves_the_line_with_its_own() -> None:
    """What the provider said of the whole line is said of its part."""
    words = (word("a", 10, None), word("b", 40, 0.1), word("c", 150))
    left, right = split_page(page(Line("a b c", 0.7, None, words)), TILES)
    assert left.blocks[0].lines[0].confidence == 0.7
    assert right.blocks[0].lines[0].confidence == 0.5


def test_a_line_without_words_goes_to_the_nearest_region_and_is_cut_to_it() -> None:
    """Its centre says which; no place lies outside of the region."""
    line = Line("wide", 0.9, box(90, -5, 260, 50))
    left, right = split_page(page(line), TILES)
    assert (texts(left), texts(right)) == ([], ["wide"])
    assert right.blocks[0].lines[0].polygon == box(0, 0, 100, 40)


def test_a_line_without_a_place_goes_with_the_one_before_it() -> None:
    """Nothing is lost, and nothing is made up."""
    lines = (Line("first", None, None), Line("placed", None, box(150, 10, 200, 30)), Line("after", None, None))
    left, right = split_page(page(*lines), TILES)
    assert (texts(left), texts(right)) == (["first"], ["placed", "after"])
    assert right.blocks[0].lines[1].polygon is None


def test_a_block_is_divided_with_its_lines() -> None:
    """One that lies in a region keeps its place; of one that lies in two, each has that of its lines."""
    lines = (Line("l", None, box(10, 10, 50, 30)), Line("r", None, box(150, 10, 200, 30)))
    left, right = split_page(page(*lines, polygon=box(5, 5, 210, 35)), TILES)
    assert left.blocks[0].polygon == box(10, 10, 50, 30)
    assert right.blocks[0].polygon == box(10, 10, 60, 30)
    (left, _) = split_page(page(lines[0], polygon=box(5, 5, 60, 35)), TILES)
    assert left.blocks[0].polygon == box(5, 5, 60, 35)


def photo(paper: int = 255) -> bytes:
    return encode_png(colour_page(400, 300, [(20, 20, 60, 40), (220, 120, 260, 150)], paper))


def test_what_lies_between_the_regions_has_their_colour() -> None:
    """On dark paper no bright frame is drawn around the regions, which would be read as lines."""
    rects = [Rect(0, 0, 100, 60), Rect(200, 100, 100, 80)]
    mosaic = make_mosaics(photo(paper=90), rects, ImageLimits())[0]
    pixels = np.asarray(Image.open(io.BytesIO(mosaic.image)))
    assert set(np.unique(pixels[:, :, 2])) == {77, 90}
    assert len(mosaic.tiles) == 2


@pytest.mark.parametrize(
    ("taken", "sent"),
    [
        ((), "image/png"),
        (("image/jpeg", "image/png"), "image/png"),
        (("image/jpeg",), "image/jpeg"),
        (("image/bmp",), "image/png"),
    ],
)
def test_a_mosaic_is_a_png_where_that_is_taken(taken: tuple[str, ...], sent: str) -> None:
    """A JPEG for those that take it and no PNG; where neither is taken, the PNG is refused like any other."""
    mosaics = make_mosaics(photo(), [Rect(0, 0, 100, 60), Rect(200, 100, 100, 80)], ImageLimits(media_types=taken))
    assert [read_header(mosaic.image).media_type for mosaic in mosaics] == [sent]


def test_a_mosaic_of_too_many_bytes_is_divided() -> None:
    """Into as many as it takes; a region that is too large by itself comes alone, for the limit to refuse it."""
    noise = np.random.default_rng(7).integers(0, 255, (400, 400, 3), np.uint8)
    rects = [Rect(0, 0, 100, 100), Rect(200, 0, 100, 100), Rect(0, 200, 100, 100), Rect(100, 100, 300, 300)]
    mosaics = make_mosaics(encode_png(noise), rects, ImageLimits(max_bytes=70_000))
    assert sorted(tile.region for mosaic in mosaics for tile in mosaic.tiles) == [0, 1, 2, 3]
    for mosaic in mosaics:
        assert len(mosaic.image) <= 70_000 or [tile.region for tile in mosaic.tiles] == [3]
    assert max(len(mosaic.tiles) for mosaic in mosaics) == 2


# Through the gateway


async def colours(call: ProviderCall) -> Page:
    return read_colours(call.image)


def mosaic_desk(
    limits: ImageLimits | None = None, features: tuple[Feature, ...] = (Feature.TEXT,), *, mosaic: bool = True
) -> tuple[Desk, Reader]:
    reader = Reader(read=colours, limits=limits, features=features)
    supports = {f: replace(support, mosaic=mosaic) for f, support in reader.description.features.items()}
    reader.description = replace(reader.description, features=supports)
    return Desk(reader), reader


WORDS = [(20, 20, 60, 40), (220, 120, 260, 150), (30, 230, 90, 260)]
PAGE = encode_png(colour_page(400, 300, WORDS))
REGIONS = (Rect(0, 200, 200, 100), Rect(0, 0, 100, 60), Rect(200.5, 100, 100, 80))
"""The third word's, the first one's and the second one's."""


async def read(desk: Desk, regions: tuple[Rect, ...] = REGIONS, **spec: object) -> Recognition:
    return await desk.recognizer.recognize(PageRequest(PAGE, regions=regions), RecognitionSpec(**spec))  # type: ignore[arg-type]


def places(recognition: Recognition) -> list[tuple[str, list[tuple[float, float]]]]:
    page = document_pb2.Document.FromString(recognition.document).pages[0]
    return [
        (word.text, [(point.x, point.y) for point in word.polygon.points])
        for block in page.blocks
        for line in block.lines
        for word in line.words
    ]


def test_regions_of_a_page_are_one_call() -> None:
    """One call, one billed unit; the words come in the order of the regions, in the page's own pixels."""

    async def main() -> tuple[Recognition, Recognition, int]:
        desk, reader = mosaic_desk()
        together = await read(desk)
        separate_desk, _ = mosaic_desk(mosaic=False)
        return together, await read(separate_desk), len(reader.calls)

    together, separate, calls = asyncio.run(main())
    assert calls == 1
    assert (together.attempts, together.billed_units) == (1, 1.0)
    assert (separate.attempts, separate.billed_units) == (3, 3.0)
    assert places(together) == places(separate) == [(str(n), list(box(*map(float, WORDS[n])))) for n in (2, 0, 1)]


def test_one_region_is_sent_as_it_is() -> None:
    """A mosaic of one is the region: the same call as ever."""

    async def main() -> ProviderCall:
        desk, reader = mosaic_desk()
        await read(desk, REGIONS[:1])
        return reader.calls[0]

    call = asyncio.run(main())
    assert (call.width, call.height, call.media_type) == (200, 100, "image/png")


@pytest.mark.parametrize(
    ("features", "regions", "is_one"),
    [
        ((Feature.TEXT,), 2, True),
        ((Feature.TEXT,), 1, False),
        ((Feature.TEXT,), 0, False),
        ((Feature.TABLE,), 2, False),
        ((Feature.TABLE, Feature.TEXT), 2, True),
    ],
)
def test_only_the_text_of_several_regions_is_read_from_a_mosaic(
    features: tuple[Feature, ...], regions: int, is_one: bool
) -> None:
    """Whatever is configured for other features, and for one region or none."""

    async def main() -> bool:
        desk, _ = mosaic_desk(features=features)
        groups = desk.router.plan(RecognitionSpec(features=frozenset(features), provider="first")).groups
        return groups[0][0][0].is_mosaic(REGIONS[:regions])

    assert asyncio.run(main()) is is_one


def test_other_features_get_their_regions_one_by_one() -> None:
    """Of TEXT and TABLE, only TEXT is read from a mosaic."""

    async def main() -> list[Feature]:
        desk, reader = mosaic_desk(features=(Feature.TEXT, Feature.TABLE))
        await read(desk, features=frozenset({Feature.TEXT, Feature.TABLE}))
        return [call.feature for call in reader.calls]

    assert sorted(feature.value for feature in asyncio.run(main())) == ["table"] * 3 + ["text"]


def test_a_region_that_alone_is_too_large_is_refused_as_ever() -> None:
    """Before anything is sent, also of the others."""

    async def main() -> int:
        desk, reader = mosaic_desk(ImageLimits(max_side_px=300))
        with pytest.raises(ImageSideTooLong):
            await read(desk, (*REGIONS, Rect(0, 0, 400, 30)))
        return len(reader.calls)

    assert asyncio.run(main()) == 0


def test_a_region_of_a_shape_that_alone_is_refused_is_read_in_company() -> None:
    """The mosaic has a shape of its own: a strip beside others is within the limits."""

    async def main() -> list[tuple[int, int]]:
        desk, reader = mosaic_desk(ImageLimits(max_aspect=3))
        assert len(places(await read(desk, (Rect(0, 20, 400, 20), REGIONS[0])))) == 2
        return [(call.width, call.height) for call in reader.calls]

    assert len(asyncio.run(main())) == 1


def test_one_mosaic_has_one_raw_response_and_several_have_none() -> None:
    """As one call has, and several calls have not."""

    async def main() -> bytes:
        desk, _ = mosaic_desk()
        whole = await read(desk, include_raw_response=True)
        small, reader = mosaic_desk(ImageLimits(max_side_px=210))
        with pytest.raises(FieldInvalid, match="several calls have no one raw response"):
            await read(small, include_raw_response=True)
        assert reader.calls == []
        await read(small)
        assert len(reader.calls) > 1
        return whole.document

    assert asyncio.run(main())


def test_a_mosaic_and_separate_regions_are_different_answers() -> None:
    """With the same cache, one is not taken for the other; the same way of reading is."""

    async def main() -> list[int]:
        desk, reader = mosaic_desk()
        calls = []
        for mosaic in (True, True, False, False):
            candidate = next(iter(desk.router.plan(RecognitionSpec()).groups[0]))[0]
            object.__setattr__(candidate, "supports", tuple(replace(s, mosaic=mosaic) for s in candidate.supports))
            await read(desk)
            calls.append(len(reader.calls))
        return calls

    assert asyncio.run(main()) == [1, 1, 4, 4]
