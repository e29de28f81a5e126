"""Every provider over the network gets images within its limits, and none that lost more than these need."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ocr_gateway.model import ImageLimits, ProviderCall, ProviderDescription, ProviderResult, ProviderStatus
from ocr_gateway.providers.base import Provider
from tests.contracts.remote_cases import CASES, RemoteCase
from tests.fakes.gateway_messages import outcome
from tests.fakes.preprocess_calls import answers_of
from tests.fakes.preprocess_messages import config, source
from tests.fakes.servers import running_pair
from tests.fakes.standin.process import stand_in_process
from tests.fakes.text_pages import text_page

LARGE_SIDE_PX = 11_000
"""Above the longest side of every provider but those that go to 16 000 or have no limit."""
NOISE = (2600, 2000)
LINES = ["Total amount 1234.56", "Invoice number 2024", "Payable within 30 days"]


@dataclass(slots=True)
class Witness:
    """A provider that notes the images that it is given, and hands each on."""

    provider: Provider
    images: list[bytes] = field(default_factory=list)

    @property
    def description(self) -> ProviderDescription:
        return self.provider.description

    @property
    def status(self) -> ProviderStatus:
        return self.provider.status

    async def start(self) -> None:
        await self.provider.start()

    async def until_ready(self) -> None:
        await self.provider.until_ready()

    def check(self, call: ProviderCall) -> None:
        self.provider.check(call)

    async def recognize(self, call: ProviderCall) -> ProviderResult:
        self.images.append(call.image)
        return await self.provider.recognize(call)

    async def recognize_together(self, calls: list[ProviderCall]) -> list[ProviderResult | Exception]:
        self.images += [call.image for call in calls]
        together: list[ProviderResult | Exception] = await self.provider.recognize_together(calls)  # type: ignore[attr-defined]
        return together

    async def close(self) -> None:
        await self.provider.close()


@asynccontextmanager
async def sent_images(case: RemoteCase, folder: Path, content: bytes) -> AsyncIterator[list[bytes]]:
    """What the case's provider is given of a file that goes through both services; its stand-in has read it all."""
    async with stand_in_process(folder, vendor=case.vendor, whole_images=True, **case.stand_in) as stand_in:
        witness = Witness(case.build(stand_in.url))
        async with running_pair(witness, page_max_side_px=0) as pair:
            answers = await answers_of(pair, [config(provider=case.kind), source("a", content)])
        assert {outcome(answer) for answer in answers} == {"OK"}
        stats = await stand_in.stats()
    assert stats["errors"] == {}
    assert stats["distinct_images"] == len(set(witness.images))  # a call that came too late for its turn is made again
    yield witness.images


def limits_of(case: RemoteCase) -> ImageLimits:
    return case.build("http://127.0.0.1:9").description.features[case.features[0]].limits


def page(width: int, height: int) -> Image.Image:
    """Text on white, in the upper left corner."""
    picture = Image.new("L", (width, height), 255)
    picture.paste(Image.fromarray(text_page(LINES).pixels), (20, 20))
    return picture


def file_of(picture: Image.Image, form: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def check_within(image: bytes, limits: ImageLimits) -> Image.Image:
    """The image that was given, which keeps to every limit."""
    opened = Image.open(io.BytesIO(image))
    short, long = sorted(opened.size)
    assert not limits.media_types or Image.MIME[opened.format or ""] in limits.media_types
    assert not limits.max_bytes or len(image) <= limits.max_bytes
    assert not limits.max_side_px or long <= limits.max_side_px
    assert not limits.max_pixels or long * short <= limits.max_pixels
    assert not limits.max_aspect or long <= short * limits.max_aspect
    assert short >= limits.min_side_px
    return opened


each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind)


@each_case
async def test_a_page_within_the_limits_is_sent_as_it_came(case: RemoteCase, tmp_path: Path) -> None:
    """Byte for byte."""
    content = file_of(page(1000, 1400), "PNG")
    async with sent_images(case, tmp_path, content) as images:
        assert set(images) == {content}


@pytest.mark.parametrize(
    "case", [case for case in CASES if 0 < limits_of(case).max_side_px < LARGE_SIDE_PX], ids=lambda case: case.kind
)
async def test_a_page_that_is_too_wide_loses_no_more_than_it_must(case: RemoteCase, tmp_path: Path) -> None:
    """It is made smaller to 98 % of the longest side that is taken, or more; or it is cut into tiles of such a side."""
    limits = limits_of(case)
    async with sent_images(case, tmp_path, file_of(page(LARGE_SIDE_PX, 4200), "PNG")) as images:
        opened = [check_within(image, limits) for image in set(images)]
    assert max(max(image.size) for image in opened) >= 0.98 * limits.max_side_px


@pytest.mark.parametrize(
    "case", [case for case in CASES if 0 < limits_of(case).max_bytes < 12_000_000], ids=lambda case: case.kind
)
async def test_a_file_that_is_too_large_keeps_its_pixels(case: RemoteCase, tmp_path: Path) -> None:
    """Where another encoding is enough, none is lost."""
    limits = limits_of(case)
    pixels = np.random.default_rng(7).integers(0, 256, (NOISE[1], NOISE[0], 3), dtype=np.uint8)
    content = file_of(Image.fromarray(pixels), "PNG", compress_level=0)
    assert len(content) > limits.max_bytes
    async with sent_images(case, tmp_path, content) as images:
        (image,) = set(images)
    assert check_within(image, limits).size == NOISE


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if "image/webp" not in limits_of(case).media_types and limits_of(case).media_types],
    ids=lambda case: case.kind,
)
async def test_a_format_that_is_not_taken_loses_nothing(case: RemoteCase, tmp_path: Path) -> None:
    """A lossless WebP comes as another file of the same pixels."""
    picture = page(900, 700).convert("RGB")
    async with sent_images(case, tmp_path, file_of(picture, "WEBP", lossless=True)) as images:
        (image,) = set(images)
    opened = check_within(image, limits_of(case)).convert("RGB")
    assert np.array_equal(np.asarray(opened), np.asarray(picture))
