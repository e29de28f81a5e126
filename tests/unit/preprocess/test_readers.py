"""Who reads a page: what the gateway says of its providers, asked seldom, once for all, and remembered while it is
away."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from ocrmux.gateway.v1 import gateway_pb2 as gateway
from ocrmux.ocr.v1 import recognition_pb2 as ocr
from preprocess_service.errors import GatewayUnavailable, ProviderUnknown
from preprocess_service.model import JPEG, PNG, PageFit, PagePreference, Reader
from preprocess_service.readers import ProviderDirectory, Readers, ReaderTimes

OWN = PageFit(media_types=(PNG, JPEG), max_bytes=20_000_000, max_pixels=64_000_000, max_side_px=8192)
TEXT, TABLE, ID = ocr.FEATURE_TEXT, ocr.FEATURE_TABLE, ocr.FEATURE_ID_DOCUMENT
GREY, UNTOUCHED = gateway.PAGE_PREFERENCE_CLEANED_GREY, gateway.PAGE_PREFERENCE_UNTOUCHED
BILEVEL = gateway.PAGE_PREFERENCE_BILEVEL


def provider(
    name: str, *features: int, preference: int = UNTOUCHED, configured: bool = True, **limits: Any
) -> gateway.Provider:
    """A provider with the same limits for each of its features, text if none is said."""
    state = gateway.PROVIDER_STATE_SERVING if configured else gateway.PROVIDER_STATE_NOT_CONFIGURED
    made = [
        gateway.ProviderFeature(
            feature=feature,  # type: ignore[arg-type]
            limits=gateway.ImageLimits(**limits),
            page_preference=preference,  # type: ignore[arg-type]
        )
        for feature in features or (TEXT,)
    ]
    return gateway.Provider(name=name, state=state, features=made)


def route(name: str, *providers: str, feature: int = TEXT, **weights: float) -> gateway.Route:
    """A route of these providers."""
    return gateway.Route(name=name, feature=feature, providers=providers, weights=weights)  # type: ignore[arg-type]


def said(*parts: gateway.Provider | gateway.Route) -> gateway.ListProvidersResponse:
    """The gateway's answer."""
    return gateway.ListProvidersResponse(
        providers=[part for part in parts if isinstance(part, gateway.Provider)],
        routes=[part for part in parts if isinstance(part, gateway.Route)],
    )


def reader(response: gateway.ListProvidersResponse, **config: Any) -> Reader:
    """Who reads by this config."""
    return ProviderDirectory(response, OWN).reader_for(ocr.RecognitionConfig(**config))


def test_the_first_configured_provider_of_the_default_route_reads() -> None:
    """Without a word of who, the first route of the feature counts, and in it the first that is configured."""
    response = said(
        provider("cloud", configured=False, max_side_px=100),
        provider("tesseract", preference=GREY, max_side_px=5000),
        provider("other", preference=BILEVEL),
        route("tables", "other", feature=TABLE),
        route("default", "cloud", "tesseract", "other"),
        route("second", "other"),
    )
    assert reader(response) == Reader(
        PagePreference.CLEANED_GREY, PageFit((PNG, JPEG), OWN.max_bytes, OWN.max_pixels, max_side_px=5000)
    )
    assert reader(response, route="second").preference is PagePreference.BILEVEL
    assert reader(response, provider="cloud").fit.max_side_px == 100


def test_the_tightest_limits_of_all_features_hold() -> None:
    """A page that is read for text and tables fits both, and only providers that read both are looked at."""
    both = provider("both", TEXT, max_side_px=4000, max_bytes=5_000_000)
    both.features.add(
        feature=TABLE, limits=gateway.ImageLimits(max_aspect=3.0, min_side_px=15, max_bytes=9_000_000, max_pixels=9)
    )
    response = said(provider("text", max_side_px=10), both, route("default", "text", "both"))
    fit = reader(response, features=[TEXT, TABLE]).fit
    assert (fit.max_side_px, fit.max_bytes, fit.max_aspect, fit.min_side_px, fit.max_pixels) == (
        4000,
        5_000_000,
        3.0,
        15,
        9,
    )


@pytest.mark.parametrize(("features", "wanted"), [([TABLE, TEXT], 2), ([TEXT], 3), ([], 3), ([ID, TEXT], 1)])
def test_the_default_route_of_several_features_is_the_gateways(features: list[int], wanted: int) -> None:
    """The gateway looks by the features' names: id, table, text."""
    response = said(
        *(provider(name, TEXT, TABLE, ID, max_side_px=side) for side, name in enumerate("abc", 1)),
        route("text", "c"),
        route("table", "b", feature=TABLE),
        route("id", "a", feature=ID),
    )
    assert reader(response, features=features).fit.max_side_px == wanted


def test_a_fallback_is_minded_where_it_costs_nothing() -> None:
    """A limit that leaves an A4 page at 300 dpi alone is kept; a small one, and an aspect, shrink and cut no page."""
    response = said(
        provider("first", max_side_px=8000),
        provider("large", max_side_px=4096, max_bytes=4_000_000, min_side_px=15, max_aspect=4.0, media_types=[JPEG]),
        provider("small", max_side_px=600, max_pixels=1_000_000, max_bytes=100_000, min_side_px=600),
        route("default", "first", "large", "small"),
    )
    assert reader(response).fit == PageFit(
        (JPEG,), max_bytes=4_000_000, max_pixels=OWN.max_pixels, max_side_px=4096, min_side_px=15
    )


def test_two_tone_pages_stay_lossless_for_a_fallback() -> None:
    """A fallback that takes JPEG only does not take PNG from a first provider that wants two-tone pages."""
    response = said(
        provider("first", preference=BILEVEL), provider("jpeg", media_types=[JPEG]), route("default", "first", "jpeg")
    )
    assert reader(response).fit.media_types == (PNG, JPEG)


def test_providers_that_share_images_by_weight_are_all_first() -> None:
    """Each of them gets pages, so a page fits each; the taste is that of the one that is named first."""
    response = said(
        provider("a", preference=GREY, max_side_px=500),
        provider("b", max_side_px=400, max_aspect=2.0),
        provider("c", max_side_px=300),
        route("default", "a", "b", "c", a=1.0, b=2.0),
    )
    made = reader(response)
    assert (made.preference, made.fit.max_side_px, made.fit.max_aspect) == (PagePreference.CLEANED_GREY, 400, 2.0)


@pytest.mark.parametrize("config", [{"provider": "none"}, {"route": "none"}, {"features": [TABLE]}, {"features": [99]}])
def test_what_the_gateway_will_refuse_is_left_to_it(config: dict[str, Any]) -> None:
    """Unknown names and features that nobody reads give a reader without a taste."""
    assert reader(said(provider("a", preference=GREY), route("default", "a")), **config) == Reader(fit=OWN)


def test_formats_that_cannot_be_made_do_not_count() -> None:
    """A provider of WebP alone gets what can be made, and refuses it itself; one that says nothing takes anything."""
    assert reader(said(provider("a", media_types=["image/webp"])), provider="a").fit.media_types == (PNG, JPEG)
    assert reader(said(provider("a")), provider="a").fit.media_types == (PNG, JPEG)
    assert reader(said(provider("a", media_types=["image/webp", PNG])), provider="a").fit.media_types == (PNG,)


def test_a_taste_that_is_not_said_is_untouched() -> None:
    """Nothing is done to a page for a provider that does not say how it wants it."""
    response = said(provider("a", preference=gateway.PAGE_PREFERENCE_UNSPECIFIED))
    assert reader(response, provider="a").preference is PagePreference.UNTOUCHED


class _Gateway:
    """Answers, fails or is silent, and counts the questions. Its clock is the readers'."""

    def __init__(self) -> None:
        self.answer = said(provider("a", preference=GREY), route("default", "a"))
        self.failure: Exception | None = None
        self.open = asyncio.Event()
        self.open.set()
        self.asked = 0
        self.now_s = 1000.0

    async def list_providers(self) -> gateway.ListProvidersResponse:
        """What it has to say."""
        self.asked += 1
        await self.open.wait()
        if self.failure is not None:
            raise self.failure
        return self.answer

    def readers(self, **times: float) -> Readers:
        """Readers of it."""
        return Readers(
            self.list_providers,
            OWN,
            random_source=random.Random(3),
            times=ReaderTimes(**times),
            clock=lambda: self.now_s,
        )


DEFAULT = ocr.RecognitionConfig()


async def settled() -> None:
    """Lets what is ready run."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_one_question_serves_all_who_wait() -> None:
    """A hundred items at once, and those within the next seconds, cost one call."""
    there = _Gateway()
    there.open.clear()
    readers = there.readers()
    waiting = [asyncio.create_task(readers.reader_for(DEFAULT)) for _ in range(100)]
    await settled()
    there.open.set()
    assert {each.preference for each in await asyncio.gather(*waiting)} == {PagePreference.CLEANED_GREY}
    there.now_s += 10
    await readers.reader_for(DEFAULT)
    assert there.asked == 1


async def test_an_old_answer_is_renewed_behind_the_items() -> None:
    """After some fifteen seconds the gateway is asked again; items go on with what is known meanwhile."""
    there = _Gateway()
    readers = there.readers()
    await readers.reader_for(DEFAULT)
    there.answer = said(provider("a", preference=BILEVEL), route("default", "a"))
    there.now_s += 20
    assert (await readers.reader_for(DEFAULT)).preference is PagePreference.CLEANED_GREY
    await settled()
    assert (await readers.reader_for(DEFAULT)).preference is PagePreference.BILEVEL
    assert there.asked == 2


async def test_a_very_old_answer_is_waited_for_a_moment() -> None:
    """After an idle hour the first item is made for the gateway as it is now, if that answers in a moment."""
    there = _Gateway()
    readers = there.readers(moment_s=5.0)
    await readers.reader_for(DEFAULT)
    there.answer = said(provider("a", preference=BILEVEL), route("default", "a"))
    there.now_s += 3600
    assert (await readers.reader_for(DEFAULT)).preference is PagePreference.BILEVEL


async def test_while_the_gateway_is_away_its_last_answer_counts() -> None:
    """Failed questions are repeated after a second or two, not for every item, and change nothing."""
    there = _Gateway()
    readers = there.readers()
    await readers.reader_for(DEFAULT)
    there.failure = GatewayUnavailable("gone")
    there.now_s += 3600
    for _ in range(10):
        assert (await readers.reader_for(DEFAULT)).preference is PagePreference.CLEANED_GREY
    assert there.asked == 2
    there.now_s += 2.1
    await readers.reader_for(DEFAULT)
    assert there.asked == 3


async def test_a_silent_gateway_holds_items_up_once_and_not_long() -> None:
    """Those who wait for a first answer wait together; later ones do not wait for the same question again."""
    there = _Gateway()
    there.open.clear()
    readers = there.readers(first_wait_s=0.05)
    assert await asyncio.gather(*(readers.reader_for(DEFAULT) for _ in range(20))) == [Reader(fit=OWN)] * 20
    there.now_s += 1
    assert await asyncio.wait_for(readers.reader_for(DEFAULT), 0.04) == Reader(fit=OWN)
    assert there.asked == 1
    await readers.aclose()


async def test_a_gateway_in_doubt_is_asked_before_the_next_item() -> None:
    """After a new connection the next item is made for the gateway as it is now, and those after it ask no more."""
    there = _Gateway()
    readers = there.readers()
    await readers.reader_for(DEFAULT)
    there.answer = said(provider("a", preference=BILEVEL), route("default", "a"))
    assert (await readers.reader_for(DEFAULT)).preference is PagePreference.CLEANED_GREY
    readers.doubt()
    for _ in range(3):
        assert (await readers.reader_for(DEFAULT)).preference is PagePreference.BILEVEL
    assert there.asked == 2


async def test_a_doubt_that_cannot_be_settled_holds_items_up_not_long() -> None:
    """A gateway that fails or is silent leaves its last answer, after one wait; a doubt during a question is kept."""
    there = _Gateway()
    readers = there.readers(first_wait_s=0.05)
    await readers.reader_for(DEFAULT)
    readers.doubt()
    there.open.clear()
    there.failure = GatewayUnavailable("gone")
    assert (await readers.reader_for(DEFAULT)).preference is PagePreference.CLEANED_GREY
    there.now_s += 1
    assert (await asyncio.wait_for(readers.reader_for(DEFAULT), 0.04)).preference is PagePreference.CLEANED_GREY
    there.open.set()
    await settled()
    there.failure = None
    there.now_s += 2.1
    there.open.clear()
    asking = asyncio.create_task(readers.reader_for(DEFAULT))
    await settled()
    readers.doubt()
    there.open.set()
    await asking
    await readers.reader_for(DEFAULT)
    assert there.asked == 4


async def test_an_item_that_leaves_does_not_end_the_question() -> None:
    """The question is everyone's."""
    there = _Gateway()
    there.open.clear()
    readers = there.readers()
    leaving = asyncio.create_task(readers.reader_for(DEFAULT))
    await settled()
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    staying = asyncio.create_task(readers.reader_for(DEFAULT))
    there.open.set()
    assert (await staying).preference is PagePreference.CLEANED_GREY
    assert there.asked == 1


async def test_a_provider_for_normalised_pages_is_named() -> None:
    """An empty name asks nobody; a wrong one is told with those that there are; text counts where it is read."""
    there = _Gateway()
    there.answer = said(provider("a", TEXT, preference=GREY, max_side_px=7), provider("t", TABLE, max_side_px=9))
    there.answer.providers[0].features.add(feature=TABLE, limits=gateway.ImageLimits(max_side_px=3))
    readers = there.readers()
    assert (await readers.reader_of(""), there.asked) == (Reader(fit=OWN), 0)
    assert (await readers.reader_of("a")).fit.max_side_px == 7
    assert (await readers.reader_of("t")).fit.max_side_px == 9
    with pytest.raises(ProviderUnknown, match="'b'; known are a, t"):
        await readers.reader_of("b")


async def test_a_named_provider_needs_the_gateways_word() -> None:
    """Where it was never heard, a page cannot be made for a provider of its."""
    there = _Gateway()
    there.failure = GatewayUnavailable("not there")
    with pytest.raises(GatewayUnavailable):
        await there.readers().reader_of("a")
