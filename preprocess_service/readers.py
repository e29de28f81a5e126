"""Who will read the pages of an item, by what the gateway says of its providers: their taste and what they take."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from ocrmux.gateway.v1 import gateway_pb2
from ocrmux.ocr.v1 import recognition_pb2
from preprocess_service.errors import GatewayUnavailable, ProviderUnknown
from preprocess_service.model import PNG, PageFit, PagePreference, Reader
from rpc_runtime.expected_error import ExpectedError

_log = structlog.get_logger("preprocess_service.readers")

ListProviders = Callable[[], Awaitable[gateway_pb2.ListProvidersResponse]]
_Features = frozenset[int]

_PREFERENCES = {
    gateway_pb2.PAGE_PREFERENCE_UNTOUCHED: PagePreference.UNTOUCHED,
    gateway_pb2.PAGE_PREFERENCE_CLEANED_GREY: PagePreference.CLEANED_GREY,
    gateway_pb2.PAGE_PREFERENCE_BILEVEL: PagePreference.BILEVEL,
}
_TEXT: _Features = frozenset({recognition_pb2.FEATURE_TEXT})
_BY_NAME: dict[int, str] = {
    recognition_pb2.FEATURE_ID_DOCUMENT: "id",
    recognition_pb2.FEATURE_TABLE: "table",
    recognition_pb2.FEATURE_TEXT: "text",
}
"""Features in the order in which the gateway looks for a default route: by these names (ocr_gateway's Router)."""

_A4_AT_300_DPI = PageFit(max_bytes=2 * 1024 * 1024, max_pixels=2480 * 3508, max_side_px=3508, min_side_px=64)
"""A limit that is no tighter than this shrinks no ordinary page. Bytes: such a page as a JPEG of quality 95."""


class _Groups(NamedTuple):
    """The providers that read first, and those that stand in for them."""

    first: list[gateway_pb2.Provider]
    later: list[gateway_pb2.Provider]


@dataclass(frozen=True, slots=True)
class ReaderTimes:
    """When the gateway is asked, and how long an item waits for its answer, seconds.

    ``refresh_s``: an answer is renewed after it (a fifth more or less, by chance). ``retry_s``: after a failure.
    ``first_wait_s``: an item waits so long where nothing is known, or what is known is in doubt. ``old_s``,
    ``moment_s``: where the answer is older than ``old_s`` it waits ``moment_s`` for a newer one.
    """

    refresh_s: float = 15.0
    retry_s: float = 1.0
    first_wait_s: float = 2.0
    old_s: float = 60.0
    moment_s: float = 0.25
    call_s: float = 10.0


class Readers:
    """The reader of each item. The gateway is asked for its providers now and then, once for all who wait; while it is
    away its last answer counts. What it never said does not hold an item up: its pages are made for the service's own
    limits, untouched.
    """

    def __init__(
        self,
        list_providers: ListProviders,
        own: PageFit,
        *,
        random_source: random.Random,
        times: ReaderTimes | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._list_providers = list_providers
        self._own = own
        self._anyone = Reader(fit=own)
        self._random = random_source
        self._times = times or ReaderTimes()
        self._clock = clock
        self._directory: ProviderDirectory | None = None
        self._known_since_s = -math.inf
        self._doubts = 0
        self._settled_doubts = 0
        self._ask_after_s = -math.inf
        self._asked_at_s = -math.inf
        self._asking: asyncio.Task[None] | None = None

    async def reader_for(self, config: recognition_pb2.RecognitionConfig) -> Reader:
        """Who reads by this config. A config that the gateway will refuse gives a reader without a taste: its words for
        it are better.
        """
        directory = await self._current()
        return self._anyone if directory is None else directory.reader_for(config)

    async def reader_of(self, provider: str) -> Reader:
        """A provider by its name; an empty one: none in particular.

        Raises ProviderUnknown, and GatewayUnavailable where the gateway has not said yet what there is.
        """
        if not provider:
            return self._anyone
        directory = await self._current()
        if directory is None:
            raise GatewayUnavailable("it has not said yet what its providers take")
        return directory.reader_of(provider)

    def doubt(self) -> None:
        """Takes note that the gateway may be another one now: the next item has it asked, and waits for its answer as
        where nothing is known. Until then, and where it does not answer in time, its last answer counts.
        """
        self._doubts += 1
        self._ask_after_s = -math.inf

    async def aclose(self) -> None:
        """Ends a question that is under way."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait({self._asking})

    async def _current(self) -> ProviderDirectory | None:
        """What is known, after a wait for what is being asked that begins with the question, not with the item."""
        now_s = self._clock()
        if now_s >= self._ask_after_s and (self._asking is None or self._asking.done()):
            self._asked_at_s = now_s
            self._asking = asyncio.create_task(self._ask())
        asking = self._asking
        if asking is not None and not asking.done():
            left_s = self._asked_at_s + self._patience_s(now_s) - now_s
            if left_s > 0:
                await asyncio.wait({asking}, timeout=left_s)
        return self._directory

    def _patience_s(self, now_s: float) -> float:
        if self._directory is None or self._doubts > self._settled_doubts:
            return self._times.first_wait_s
        return self._times.moment_s if now_s - self._known_since_s > self._times.old_s else 0.0

    async def _ask(self) -> None:
        times, doubts = self._times, self._doubts
        try:
            async with asyncio.timeout(times.call_s):
                response = await self._list_providers()
        except (ExpectedError, TimeoutError) as error:
            _log.info("readers.not_told", reason=str(error), known=self._directory is not None)
            self._ask_after_s = self._clock() + times.retry_s * self._random.uniform(1.0, 2.0)
            return
        self._directory = ProviderDirectory(response, self._own)
        self._known_since_s = self._clock()
        self._settled_doubts = doubts
        if doubts == self._doubts:  # else what it was asked before is of no use
            self._ask_after_s = self._known_since_s + times.refresh_s * self._random.uniform(0.8, 1.2)


class ProviderDirectory:
    """One answer of the gateway. ``own`` is what the service itself makes at most.

    A route's pages are made for its first configured provider: to its taste, and so that it takes them for each feature
    that is asked for, as do those that share its images by weight. A provider behind these, which reads when they
    cannot, is minded as far as that costs the first one nothing: its bytes, pixels and sides where they leave an A4
    page at 300 dpi as it is, and its formats, but not where a two-tone page would have to become a JPEG. Its aspect is
    not minded, because the tiles would be calls that the first one bills. Where such a provider does not take a page
    then, the gateway passes it over and says so.
    """

    def __init__(self, response: gateway_pb2.ListProvidersResponse, own: PageFit) -> None:
        self._own = own
        self._providers = {provider.name: provider for provider in response.providers}
        self._routes = {route.name: route for route in response.routes}
        self._default_routes: dict[int, gateway_pb2.Route] = {}
        for route in response.routes:
            self._default_routes.setdefault(route.feature, route)
        self._readers: dict[tuple[str | None, str, _Features], Reader] = {}

    def reader_for(self, config: recognition_pb2.RecognitionConfig) -> Reader:
        """Who reads by this config."""
        features = frozenset(number or recognition_pb2.FEATURE_TEXT for number in config.features) or _TEXT
        name = config.provider or config.route
        reader = self._readers.get((config.WhichOneof("reader"), name, features))
        if reader is not None:
            return reader
        if config.HasField("provider"):
            provider = self._providers.get(name)
            groups = _Groups([] if provider is None else [provider], [])
        else:
            route = self._route(config, features)
            groups = _Groups([], []) if route is None else self._groups(route, features)
        reader = self._reader(groups.first, features, groups.later)
        if groups.first:  # names that are not known would fill the memory
            self._readers[config.WhichOneof("reader"), name, features] = reader
        return reader

    def reader_of(self, name: str) -> Reader:
        """The provider of this name, for text where it reads text. Raises ProviderUnknown."""
        provider = self._providers.get(name)
        if provider is None:
            raise ProviderUnknown(name, sorted(self._providers))
        features = frozenset(each.feature for each in provider.features)
        return self._reader([provider], _TEXT if features >= _TEXT else features)

    def _route(self, config: recognition_pb2.RecognitionConfig, features: _Features) -> gateway_pb2.Route | None:
        if not features <= _BY_NAME.keys():
            return None
        if config.HasField("route"):
            return self._routes.get(config.route)
        in_order = sorted(features, key=lambda feature: _BY_NAME[feature])
        return next((self._default_routes[each] for each in in_order if each in self._default_routes), None)

    def _groups(self, route: gateway_pb2.Route, features: _Features) -> _Groups:
        """The route's first configured provider with those that share its images by weight, and those behind them."""
        able = [self._providers[name] for name in route.providers if name in self._providers]
        able = [each for each in able if features <= {one.feature for one in each.features}]
        groups: list[list[gateway_pb2.Provider]] = []
        weighted_before = False
        for provider in able:
            weighted = provider.name in route.weights
            if weighted and weighted_before:
                groups[-1].append(provider)
            else:
                groups.append([provider])
            weighted_before = weighted
        configured = [[each for each in group if _is_configured(each)] for group in groups]
        in_use = [group for group in configured if group] or groups[:1]
        first = in_use[0] if in_use else []
        return _Groups(first, [provider for group in in_use[1:] for provider in group])

    def _reader(
        self,
        first: Collection[gateway_pb2.Provider],
        features: _Features,
        later: Iterable[gateway_pb2.Provider] = (),
    ) -> Reader:
        wanted = [one for provider in first for one in _support(provider, features)]
        if not wanted:
            return Reader(fit=self._own)
        preference = _PREFERENCES.get(wanted[0].page_preference, PagePreference.UNTOUCHED)
        fit = self._own
        for one in wanted:
            fit = tightest(fit, fit_of(one.limits))
        for one in (one for provider in later for one in _support(provider, features)):
            fit = tightest(fit, _what_costs_nothing(fit_of(one.limits), preference))
        return Reader(preference, fit)


def _is_configured(provider: gateway_pb2.Provider) -> bool:
    return provider.state != gateway_pb2.PROVIDER_STATE_NOT_CONFIGURED


def _support(provider: gateway_pb2.Provider, features: _Features) -> Iterator[gateway_pb2.ProviderFeature]:
    return (one for one in provider.features if one.feature in features)


def fit_of(limits: gateway_pb2.ImageLimits) -> PageFit:
    """What a provider takes of what can be made. Media types of which none can be are left out."""
    return PageFit(
        media_types=_makeable(tuple(limits.media_types)),
        max_bytes=limits.max_bytes,
        max_pixels=limits.max_pixels,
        max_side_px=limits.max_side_px,
        min_side_px=limits.min_side_px,
        max_aspect=max(0.0, limits.max_aspect),
    )


def tightest(one: PageFit, other: PageFit) -> PageFit:
    """What both take. Where they have no media type in common it is those of ``one``."""
    media_types = one.media_types or other.media_types
    if one.media_types and other.media_types:
        media_types = tuple(each for each in one.media_types if each in other.media_types) or one.media_types
    return PageFit(
        media_types=media_types,
        max_bytes=_least(one.max_bytes, other.max_bytes),
        max_pixels=_least(one.max_pixels, other.max_pixels),
        max_side_px=_least(one.max_side_px, other.max_side_px),
        min_side_px=max(one.min_side_px, other.min_side_px),
        max_aspect=min((each for each in (one.max_aspect, other.max_aspect) if each), default=0.0),
    )


def _what_costs_nothing(fit: PageFit, preference: PagePreference) -> PageFit:
    """The limits that leave an ordinary page as the first provider would get it."""
    enough = _A4_AT_300_DPI
    keeps_two_tone = not fit.media_types or PNG in fit.media_types or preference is not PagePreference.BILEVEL
    return PageFit(
        media_types=fit.media_types if keeps_two_tone else (),
        max_bytes=fit.max_bytes if fit.max_bytes >= enough.max_bytes else 0,
        max_pixels=fit.max_pixels if fit.max_pixels >= enough.max_pixels else 0,
        max_side_px=fit.max_side_px if fit.max_side_px >= enough.max_side_px else 0,
        min_side_px=fit.min_side_px if fit.min_side_px <= enough.min_side_px else 0,
    )


def _makeable(media_types: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return PageFit(media_types).media_types
    except ValueError:
        return ()


def _least(one: int, other: int) -> int:
    return min(one, other) if one and other else one or other
