"""Which providers read an item, in which order, each with its lanes."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ocr_gateway.errors import (
    DeadlineUnreachable,
    FeatureUnsupported,
    FieldInvalid,
    FormatUnsupported,
    ImageShapeUnsupported,
    ImageSideTooLong,
    ImageTooLargeBytes,
    ImageTooLargePixels,
    ImageUndecodable,
    ProviderBudgetSpent,
    ProviderNotConfigured,
    ProviderQuotaSpent,
    ProviderThrottled,
    ProviderUnavailable,
    ProviderUnknown,
    TenantBudgetSpent,
)
from ocr_gateway.lanes.lane import Lane
from ocr_gateway.model import Feature, FeatureSupport, ProviderState, RecognitionSpec, Rect
from ocr_gateway.providers.base import Provider
from rpc_runtime.expected_error import ExpectedError

CONFIDENCE_LOW = "CONFIDENCE_LOW"
"""Why a provider is passed over that has a result, but none that is sure enough."""

LaneKey = tuple[str, Feature]


@dataclass(frozen=True, slots=True)
class RouteEntry:
    """A provider of a route. Neighbours with a ``weight`` share the images by it; one without stands by itself."""

    provider: str
    weight: float | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """An ordered list of providers for one feature, first choice first.

    A result of less confidence than ``escalate_below`` (0..1) is taken to the next provider, where there is one.
    """

    name: str
    feature: Feature
    entries: tuple[RouteEntry, ...]
    escalate_below: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A provider that can read what was asked for: one lane a feature, and what it takes for each."""

    provider: Provider
    supports: tuple[FeatureSupport, ...]
    lanes: Mapping[Feature, Lane]

    def is_mosaic(self, regions: Sequence[Rect]) -> bool:
        """Whether these regions are read for TEXT in one image, or as few as it takes; else each by itself."""
        if len(regions) < 2:
            return False
        return any(
            feature is Feature.TEXT and support.mosaic
            for feature, support in zip(self.lanes, self.supports, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """Who may read what a spec asks for: groups in order, within a group by weight."""

    groups: tuple[tuple[tuple[Candidate, float], ...], ...]
    escalate_below: float = 0.0

    def candidates(self, digest: bytes) -> tuple[Candidate, ...]:
        """At least one, best first, those that are not configured left out as long as another one remains.

        The order within a group follows from the image's ``digest``, so that an image that comes again goes to the
        provider whose answer is in the cache: weighted rendezvous hashing (Schindelhauer and Schomaker, 2005).
        """
        order = [
            candidate
            for group in self.groups
            for candidate, _ in (group if len(group) == 1 else sorted(group, key=lambda pair: _score(digest, *pair)))
        ]
        if len(order) == 1:
            return (order[0],)
        configured = [each for each in order if each.provider.status.state is not ProviderState.NOT_CONFIGURED]
        return tuple(configured or order)


class Router:
    """Knows every provider, route and lane."""

    def __init__(self, providers: Iterable[Provider], routes: Sequence[Route], lanes: Mapping[LaneKey, Lane]) -> None:
        self._providers = {provider.description.name: provider for provider in providers}
        self._routes = {route.name: route for route in routes}
        self._lanes = lanes
        self._defaults: dict[Feature, Route] = {}
        for route in routes:
            self._defaults.setdefault(route.feature, route)
        self._plans: dict[tuple[str | None, str | None, frozenset[Feature]], Plan] = {}

    @property
    def providers(self) -> tuple[Provider, ...]:
        """All of them, by name."""
        return tuple(self._providers[name] for name in sorted(self._providers))

    @property
    def routes(self) -> tuple[Route, ...]:
        """All of them, as configured."""
        return tuple(self._routes.values())

    def lanes_of(self, provider: Provider) -> dict[Feature, Lane]:
        """The lanes to a provider."""
        description = provider.description
        return {feature: self._lanes[description.name, feature] for feature in description.features}

    def plan(self, spec: RecognitionSpec) -> Plan:
        """Who may read: the one provider asked for, or those of the route that read every feature.

        Raises ProviderUnknown or FeatureUnsupported.
        """
        key = (spec.provider, spec.route, spec.features)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = self._make_plan(spec)
        return plan

    def _make_plan(self, spec: RecognitionSpec) -> Plan:
        if spec.provider is not None:
            return Plan((((self._candidate(self._provider(spec.provider), spec.features), 1.0),),))
        route = self._route(spec)
        able = [e for e in route.entries if spec.features <= self._provider(e.provider).description.features.keys()]
        if not able:
            missing = sorted(spec.features, key=lambda feature: feature.value)[0]
            raise self._unsupported(route.entries[0].provider if route.entries else route.name, missing)
        groups: list[list[tuple[Candidate, float]]] = []
        weighted_before = False
        for entry in able:
            candidate = (self._candidate(self._providers[entry.provider], spec.features), entry.weight or 1.0)
            if weighted_before and entry.weight is not None:
                groups[-1].append(candidate)
            else:
                groups.append([candidate])
            weighted_before = entry.weight is not None
        return Plan(tuple(map(tuple, groups)), route.escalate_below)

    def _provider(self, name: str) -> Provider:
        if name not in self._providers:
            raise ProviderUnknown(name, self._providers)
        return self._providers[name]

    def _route(self, spec: RecognitionSpec) -> Route:
        if spec.route is not None:
            if spec.route not in self._routes:
                raise ProviderUnknown(spec.route, self._routes, kind="route")
            return self._routes[spec.route]
        for feature in sorted(spec.features, key=lambda feature: feature.value):
            if feature in self._defaults:
                return self._defaults[feature]
        missing = sorted(spec.features, key=lambda feature: feature.value)[0]
        raise self._unsupported(", ".join(sorted(self._providers)), missing)

    def _unsupported(self, provider: str, feature: Feature) -> FeatureUnsupported:
        readers = [name for name, each in self._providers.items() if feature in each.description.features]
        return FeatureUnsupported(provider, feature.value, readers)

    def _candidate(self, provider: Provider, features: frozenset[Feature]) -> Candidate:
        description = provider.description
        in_order = sorted(features, key=lambda feature: feature.value)
        for feature in in_order:
            if feature not in description.features:
                raise self._unsupported(description.name, feature)
        return Candidate(
            provider,
            tuple(description.features[feature] for feature in in_order),
            {feature: self._lanes[description.name, feature] for feature in in_order},
        )


def _score(digest: bytes, candidate: Candidate, weight: float) -> float:
    """The least score comes first; a candidate has it with a probability in proportion to its weight."""
    name = candidate.provider.description.name.encode()
    drawn = int.from_bytes(hashlib.blake2b(digest + name, digest_size=8).digest(), "big")
    return -math.log((drawn + 1) / 2**64) / weight


def reason_of(error: ExpectedError) -> str | None:
    """Why a provider has no result for an item, by the error contract; None: it is not for it to say."""
    match error:
        case ProviderNotConfigured():
            return "PROVIDER_NOT_CONFIGURED"
        case ProviderUnavailable():
            return "PROVIDER_UNAVAILABLE"
        case ProviderThrottled() | ProviderQuotaSpent() | ProviderBudgetSpent():
            return "PROVIDER_QUOTA"
        case TenantBudgetSpent():
            return "TENANT_QUOTA"
        case DeadlineUnreachable():
            return "DEADLINE_UNREACHABLE"
        case FieldInvalid():
            return "FIELD_INVALID"
        case ImageUndecodable():
            return "IMAGE_UNDECODABLE"
        case FormatUnsupported():
            return "FORMAT_UNSUPPORTED"
        case ImageTooLargeBytes():
            return "IMAGE_TOO_LARGE_BYTES"
        case ImageTooLargePixels() | ImageSideTooLong():
            return "IMAGE_TOO_LARGE_PIXELS"
        case ImageShapeUnsupported():
            return "IMAGE_SHAPE_UNSUPPORTED"
        case _:
            return None
