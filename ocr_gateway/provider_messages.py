"""ListProviders' messages: providers and routes as they are now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ocr_gateway.model import (
    Feature,
    FeatureSupport,
    IdDocument,
    PagePreference,
    ProviderKind,
    ProviderState,
    ProviderStatus,
)
from ocr_gateway.providers.base import Provider
from ocr_gateway.routing import Route
from ocr_gateway.spending import Spending
from ocrmux.gateway.v1 import gateway_pb2
from ocrmux.ocr.v1 import recognition_pb2

_FEATURE_NUMBERS = {
    Feature.TEXT: recognition_pb2.FEATURE_TEXT,
    Feature.TABLE: recognition_pb2.FEATURE_TABLE,
    Feature.ID_DOCUMENT: recognition_pb2.FEATURE_ID_DOCUMENT,
}
_ID_DOCUMENT_NUMBERS = {
    IdDocument.IDENTITY_CARD: recognition_pb2.ID_DOCUMENT_IDENTITY_CARD,
    IdDocument.BUSINESS_LICENCE: recognition_pb2.ID_DOCUMENT_BUSINESS_LICENCE,
    IdDocument.BANK_CARD: recognition_pb2.ID_DOCUMENT_BANK_CARD,
    IdDocument.PASSPORT: recognition_pb2.ID_DOCUMENT_PASSPORT,
}
_KINDS = {
    ProviderKind.EMBEDDED: gateway_pb2.PROVIDER_KIND_EMBEDDED,
    ProviderKind.SELF_HOSTED: gateway_pb2.PROVIDER_KIND_SELF_HOSTED,
    ProviderKind.CLOUD: gateway_pb2.PROVIDER_KIND_CLOUD,
}
_STATES = {
    ProviderState.SERVING: gateway_pb2.PROVIDER_STATE_SERVING,
    ProviderState.STARTING: gateway_pb2.PROVIDER_STATE_STARTING,
    ProviderState.NOT_CONFIGURED: gateway_pb2.PROVIDER_STATE_NOT_CONFIGURED,
    ProviderState.RESTED: gateway_pb2.PROVIDER_STATE_RESTED,
    ProviderState.QUOTA_SPENT: gateway_pb2.PROVIDER_STATE_QUOTA_SPENT,
}
_PREFERENCES = {
    PagePreference.UNTOUCHED: gateway_pb2.PAGE_PREFERENCE_UNTOUCHED,
    PagePreference.CLEANED_GREY: gateway_pb2.PAGE_PREFERENCE_CLEANED_GREY,
    PagePreference.BILEVEL: gateway_pb2.PAGE_PREFERENCE_BILEVEL,
}


_SOONEST_FIRST = (
    ProviderState.STARTING,
    ProviderState.RESTED,
    ProviderState.QUOTA_SPENT,
    ProviderState.NOT_CONFIGURED,
)
"""States in which no call goes, the one first that passes soonest, as a rule."""


class LaneLoad(Protocol):
    """How a lane is: how busy, and whether calls go."""

    @property
    def in_progress(self) -> int:
        """Calls in progress."""
        ...

    @property
    def waiting(self) -> int:
        """Items that wait for their turn."""
        ...

    @property
    def state(self) -> tuple[ProviderState, str]:
        """SERVING, or why no call goes now, with words for people."""
        ...


def provider_message(provider: Provider, lanes: Mapping[Feature, LaneLoad], spending: Spending) -> gateway_pb2.Provider:
    """A provider as ListProviders shows it, with the lane of each of its features, prices and budget."""
    description, status = provider.description, provider.status
    states = {
        feature: _state_of(description.name, support, lanes[feature], spending)
        for feature, support in sorted(description.features.items(), key=lambda pair: pair[0].value)
    }
    state, detail = _state_of_all(status, states)
    return gateway_pb2.Provider(
        name=description.name,
        display_name=description.display_name,
        kind=_KINDS[description.kind],
        model=status.model,
        state=_STATES[state],
        state_detail=detail,
        features=[
            _feature_message(feature, description.features[feature], lanes[feature], status, said, spending.currency)
            for feature, said in states.items()
        ],
        languages=description.languages,
        budget=_budget(description.name, spending),
    )


def _budget(provider: str, spending: Spending) -> gateway_pb2.Budget | None:
    use = spending.use_of_provider(provider)
    if use is None:
        return None
    return gateway_pb2.Budget(
        units_per_day=use.budget.units_per_day,
        units_used=use.units_used,
        cost_per_day=use.budget.cost_per_day,
        cost_used=use.cost_used,
    )


def _state_of(provider: str, support: FeatureSupport, lane: LaneLoad, spending: Spending) -> tuple[ProviderState, str]:
    """The lane's; or, where its calls would go, whether the provider's budget bears one."""
    state, detail = lane.state
    refusal = spending.refusal_by_provider(provider, support) if state is ProviderState.SERVING else ""
    return (ProviderState.QUOTA_SPENT, refusal) if refusal else (state, detail)


def _state_of_all(
    status: ProviderStatus, states: Mapping[Feature, tuple[ProviderState, str]]
) -> tuple[ProviderState, str]:
    """The provider's own; or, where no call goes for any feature, that of the one that is the first to serve again."""
    kinds = {state for state, _ in states.values()}
    if status.state is not ProviderState.SERVING or not kinds or ProviderState.SERVING in kinds:
        return status.state, status.detail
    state = next(state for state in _SOONEST_FIRST if state in kinds)
    details = {feature: detail for feature, (_, detail) in states.items()}
    if len(set(details.values())) == 1:
        return state, next(iter(details.values()))
    return state, "; ".join(f"{feature.value}: {detail}" for feature, detail in details.items())


def _feature_message(
    feature: Feature,
    support: FeatureSupport,
    lane: LaneLoad,
    status: ProviderStatus,
    said: tuple[ProviderState, str],
    currency: str,
) -> gateway_pb2.ProviderFeature:
    limits = support.limits
    state, detail = said if status.state is ProviderState.SERVING else (status.state, status.detail)
    return gateway_pb2.ProviderFeature(
        feature=_FEATURE_NUMBERS[feature],
        limits=gateway_pb2.ImageLimits(
            max_bytes=limits.max_bytes,
            max_pixels=limits.max_pixels,
            max_side_px=limits.max_side_px,
            min_side_px=limits.min_side_px,
            max_aspect=limits.max_aspect,
            media_types=limits.media_types,
        ),
        quota=gateway_pb2.Quota(
            requests_per_second=support.quota.requests_per_second,
            max_concurrency=support.quota.max_concurrency,
            in_progress=lane.in_progress,
            waiting=lane.waiting,
            requests_per_day=support.quota.requests_per_day,
            requests_per_month=support.quota.requests_per_month,
        ),
        page_preference=_PREFERENCES[support.page_preference],
        state=_STATES[state],
        state_detail=detail,
        price_per_unit=support.price_per_unit,
        currency=currency if support.price_per_unit else "",
        max_images_per_call=support.batch.max_images,
        id_documents=sorted(_ID_DOCUMENT_NUMBERS[document] for document in support.documents),
    )


def route_message(route: Route) -> gateway_pb2.Route:
    """A route as ListProviders shows it."""
    return gateway_pb2.Route(
        name=route.name,
        feature=_FEATURE_NUMBERS[route.feature],
        providers=[each.provider for each in route.entries],
        weights={each.provider: each.weight for each in route.entries if each.weight is not None},
        escalate_below=route.escalate_below,
    )
