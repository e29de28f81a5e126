"""What the embedded engines keep. Those over the network: test_remote_provider_port."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from ocr_gateway.errors import FieldInvalid, ImageUndecodable, ProviderUnavailable
from ocr_gateway.model import Feature, Page, ProviderCall, ProviderState
from ocr_gateway.providers.rapid_ocr import RapidOcrProvider
from ocr_gateway.providers.tesseract import TesseractProvider
from tests.fakes.text_pages import text_page, white_png

EmbeddedProvider = RapidOcrProvider | TesseractProvider
Build = Callable[[int], EmbeddedProvider]

PATIENCE_S = 60.0
PAGE = text_page(["Total amount 1234.56", "Invoice number 2024"])
BUILDERS: dict[str, Build] = {"rapidocr": RapidOcrProvider, "tesseract": TesseractProvider}

pytestmark = pytest.mark.asyncio(loop_scope="module")


def call(image: bytes, *, languages: tuple[str, ...] = (), options: dict[str, str] | None = None) -> ProviderCall:
    return ProviderCall(
        image=image,
        media_type="image/png",
        width=PAGE.pixels.shape[1],
        height=PAGE.pixels.shape[0],
        feature=Feature.TEXT,
        languages=languages,
        options=options or {},
    )


def lines_of(page: Page) -> list[str]:
    return [line.text for block in page.blocks for line in block.lines]


async def until(condition: Callable[[], bool]) -> None:
    """Waits for other tasks and threads to bring it about, at most ``PATIENCE_S``."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - what is awaited happens in other threads and processes
            await asyncio.sleep(0.005)


@pytest.fixture(params=BUILDERS, scope="module")
def build(request: pytest.FixtureRequest) -> Build:
    if request.param == "tesseract" and shutil.which("tesseract") is None:
        pytest.skip("the tesseract program is not installed")
    return BUILDERS[request.param]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider(build: Build) -> AsyncIterator[EmbeddedProvider]:
    provider = build(1)
    await provider.start()
    yield provider
    await provider.close()


async def test_it_reads_text_and_places(provider: EmbeddedProvider) -> None:
    """Lines come with their text, their words, confidences of 0..1 and boxes within 2 px of the ink."""
    result = await provider.recognize(call(PAGE.png(), languages=("en",)))
    page = result.page
    assert (page.width, page.height) == (PAGE.pixels.shape[1], PAGE.pixels.shape[0])
    assert lines_of(page) == [line.text for line in PAGE.lines]
    for line, drawn in zip([line for block in page.blocks for line in block.lines], PAGE.lines, strict=True):
        assert line.confidence is not None
        assert 0.5 < line.confidence <= 1
        assert line.polygon is not None
        for (x, y), (drawn_x, drawn_y) in zip(line.polygon, drawn.corners, strict=True):
            assert abs(x - drawn_x) <= 2
            assert abs(y - drawn_y) <= 2
        assert [word.text for word in line.words] == drawn.text.split()
        for word in line.words:
            assert word.confidence is not None
            assert 0 <= word.confidence <= 1
            assert len(word.polygon) == 4
    assert result.billed_units == 0
    assert result.raw_response == b""


async def test_an_empty_page_has_no_blocks(provider: EmbeddedProvider) -> None:
    """Nothing to read is an answer, not an error."""
    page = (await provider.recognize(call(white_png(320, 200)))).page
    assert (page.width, page.height, page.blocks) == (320, 200, ())


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (900, 3)])
async def test_the_smallest_and_the_longest_images_are_read(provider: EmbeddedProvider, size: tuple[int, int]) -> None:
    """No shape of image breaks the engine."""
    assert (await provider.recognize(call(white_png(*size)))).page.blocks == ()


async def test_its_description_names_what_it_takes(provider: EmbeddedProvider) -> None:
    """Text of all five image formats, and the languages that it accepts."""
    await until(lambda: provider.status.state is ProviderState.SERVING)
    description = provider.description
    assert set(description.features[Feature.TEXT].limits.media_types) == {
        "image/png",
        "image/jpeg",
        "image/tiff",
        "image/webp",
        "image/bmp",
    }
    assert "en" in description.languages
    assert provider.status.model


async def test_never_more_pages_at_once_than_workers(provider: EmbeddedProvider) -> None:
    """With one worker the others wait, and all are read."""
    tasks = [asyncio.create_task(provider.recognize(call(PAGE.png()))) for _ in range(4)]
    busiest = most_waiting = 0
    while not all(task.done() for task in tasks):
        load = provider.load
        busiest, most_waiting = max(busiest, load.in_progress), max(most_waiting, load.waiting)
        await asyncio.sleep(0.002)
    assert [lines_of(task.result().page) for task in tasks] == [[line.text for line in PAGE.lines]] * 4
    assert busiest == 1
    assert most_waiting == 3


async def test_a_call_cancelled_while_it_waits_never_begins(provider: EmbeddedProvider) -> None:
    """The others are served, and nothing is left of the cancelled one."""
    first = asyncio.create_task(provider.recognize(call(PAGE.png())))
    await until(lambda: provider.load.in_progress == 1)
    cancelled = asyncio.create_task(provider.recognize(call(PAGE.png())))
    last = asyncio.create_task(provider.recognize(call(PAGE.png())))
    await until(lambda: provider.load.waiting == 2)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert provider.load.waiting <= 1
    assert lines_of((await first).page) == lines_of((await last).page) == [line.text for line in PAGE.lines]
    assert (provider.load.in_progress, provider.load.waiting) == (0, 0)


async def test_a_call_cancelled_while_it_runs_frees_its_worker(provider: EmbeddedProvider) -> None:
    """The provider is idle again soon, and serves the next."""
    running = asyncio.create_task(provider.recognize(call(PAGE.png())))
    await until(lambda: provider.load.in_progress == 1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await until(lambda: provider.load.in_progress == 0)
    assert lines_of((await provider.recognize(call(PAGE.png()))).page) == [line.text for line in PAGE.lines]


async def test_it_starts_serves_and_closes(build: Build) -> None:
    """STARTING, then SERVING while early calls wait; closing refuses them, is prompt, and may be done twice."""
    provider = build(1)
    assert provider.status.state.name == "STARTING"
    with pytest.raises(ProviderUnavailable):
        await provider.recognize(call(PAGE.png()))
    await provider.start()
    await provider.start()
    early = asyncio.create_task(provider.recognize(call(PAGE.png())))
    await until(lambda: provider.status.state is ProviderState.SERVING)
    assert lines_of((await early).page) == [line.text for line in PAGE.lines]

    running = [asyncio.create_task(provider.recognize(call(PAGE.png()))) for _ in range(3)]
    await until(lambda: provider.load.in_progress == 1)
    began = time.monotonic()
    await provider.close()
    await provider.close()
    assert time.monotonic() - began < 5
    outcomes = await asyncio.gather(*running, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes[1:]] == [ProviderUnavailable] * 2
    assert provider.status.state is not ProviderState.SERVING
    with pytest.raises(ProviderUnavailable):
        await provider.recognize(call(PAGE.png()))


async def test_damaged_bytes_are_undecodable(provider: EmbeddedProvider) -> None:
    """Garbage and half an image are refused, and the next image is read."""
    for content in (b"no image at all", PAGE.png()[:-400]):
        with pytest.raises(ImageUndecodable):
            await provider.recognize(call(content))
    assert lines_of((await provider.recognize(call(PAGE.png()))).page)


async def test_an_unknown_option_is_refused(provider: EmbeddedProvider) -> None:
    """Options that the provider does not have are named, before anything is read."""
    with pytest.raises(FieldInvalid, match="no_such_option") as refusal:
        await provider.recognize(call(PAGE.png(), options={"no_such_option": "1"}))
    assert refusal.value.field == "recognition.provider_options"


@pytest.mark.parametrize("language", ["tlh", "ar", "no-such-language", ""])
async def test_an_unknown_language_is_refused(provider: EmbeddedProvider, language: str) -> None:
    """Languages that it does not read are never ignored."""
    with pytest.raises(FieldInvalid) as refusal:
        await provider.recognize(call(PAGE.png(), languages=(language,)))
    assert refusal.value.field == "recognition.languages"


async def test_options_are_checked_before_a_turn_is_taken(provider: EmbeddedProvider) -> None:
    """Without a wait, and without a word about what is good."""
    with pytest.raises(FieldInvalid, match="no_such_option"):
        provider.check(call(PAGE.png(), options={"no_such_option": "1"}))
    provider.check(call(PAGE.png()))


async def test_a_description_never_changes(provider: EmbeddedProvider) -> None:
    """It has text among its features, languages, and a model for the cache's key."""
    description = provider.description
    await provider.recognize(call(PAGE.png(), languages=("en",)))
    assert provider.description == description
    assert Feature.TEXT in description.features
    assert "en" in description.languages
    assert provider.status.state is ProviderState.SERVING
    assert provider.status.model


async def test_a_cancelled_call_leaves_the_others_alone(provider: EmbeddedProvider) -> None:
    """They are served, and so is the next."""
    tasks = [asyncio.create_task(provider.recognize(call(PAGE.png()))) for _ in range(3)]
    await asyncio.sleep(0)  # all have begun
    tasks[0].cancel()
    tasks[2].cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome).__name__ for outcome in outcomes] == ["CancelledError", "ProviderResult", "CancelledError"]
    assert lines_of((await provider.recognize(call(PAGE.png()))).page)
