"""Which providers read an item, in which order, each with its lane."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ocr_gateway.errors import FeatureUnsupported, ProviderUnknown
from ocr_gateway.lanes.concurrency import ConcurrencyLimit
from ocr_gateway.model import Feature, FeatureSupport, ProviderState, RecognitionSpec
from ocr_gateway.providers.base import Provider


@dataclass(frozen=True, slots=True)
class Route:
    """An ordered list of providers for one feature, first choice first."""

    name: str
    feature: Feature
    providers: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A provider that can read what was asked for, and the lane to it."""

    provider: Provider
    support: FeatureSupport
    lane: ConcurrencyLimit


class Router:
    """Knows every provider and route. Choosing raises ProviderUnknown or FeatureUnsupported."""

    def __init__(self, providers: Iterable[Provider], routes: Sequence[Route]) -> None:
        self._providers = {provider.description.name: provider for provider in providers}
        self._routes = {route.name: route for route in routes}
        self._defaults: dict[Feature, Route] = {}
        for route in routes:
            self._defaults.setdefault(route.feature, route)
        # One lane a provider: an embedded engine's features share its workers.
        self._lanes: Mapping[str, ConcurrencyLimit] = {
            name: ConcurrencyLimit(max((s.max_concurrency for s in provider.description.features.values()), default=0))
            for name, provider in self._providers.items()
        }

    @property
    def providers(self) -> tuple[Provider, ...]:
        """All of them, by name."""
        return tuple(self._providers[name] for name in sorted(self._providers))

    @property
    def routes(self) -> tuple[Route, ...]:
        """All of them, as configured."""
        return tuple(self._routes.values())

    def lane(self, provider: str) -> ConcurrencyLimit:
        """The lane to a provider that exists."""
        return self._lanes[provider]

    def candidates(self, spec: RecognitionSpec) -> tuple[Candidate, ...]:
        """Who may read, best first: the one provider asked for, or those of the route that read every feature.

        A provider that is not configured is left out as long as another one remains.
        """
        if spec.provider is not None:
            return (self._candidate(self._provider(spec.provider), spec.features),)
        route = self._route(spec)
        providers = [self._providers[name] for name in route.providers]
        able = [p for p in providers if spec.features <= p.description.features.keys()]
        if not able:
            missing = sorted(f.value for f in spec.features)[0]
            raise FeatureUnsupported(providers[0].description.name if providers else route.name, missing)
        configured = [p for p in able if p.status.state is not ProviderState.NOT_CONFIGURED]
        return tuple(self._candidate(provider, spec.features) for provider in configured or able)

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
        missing = sorted(feature.value for feature in spec.features)[0]
        raise FeatureUnsupported(", ".join(sorted(self._providers)), missing)

    def _candidate(self, provider: Provider, features: frozenset[Feature]) -> Candidate:
        description = provider.description
        for feature in sorted(features, key=lambda feature: feature.value):
            if feature not in description.features:
                raise FeatureUnsupported(description.name, feature.value)
        support = description.features[min(features, key=lambda feature: feature.value)]
        return Candidate(provider, support, self._lanes[description.name])
