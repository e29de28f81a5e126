"""The providers of a gateway, for a person and for a program."""

from __future__ import annotations

import json
import math

from google.protobuf import json_format
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ocrmux.gateway.v1.gateway_pb2 import (
    ListProvidersResponse,
    PagePreference,
    Provider,
    ProviderFeature,
    ProviderKind,
    ProviderState,
    Route,
)
from ocrmux.ocr.v1.recognition_pb2 import Feature

_STYLES = {"serving": "green", "starting": "yellow", "not configured": "dim", "rested": "red", "quota spent": "red"}
_WANTS = {
    PagePreference.PAGE_PREFERENCE_UNTOUCHED: "untouched",
    PagePreference.PAGE_PREFERENCE_CLEANED_GREY: "cleaned grey",
    PagePreference.PAGE_PREFERENCE_BILEVEL: "bilevel",
}
"""How it wants its pages, as preprocessing makes them."""
_FEATURES = {Feature.FEATURE_TEXT: "text", Feature.FEATURE_TABLE: "table", Feature.FEATURE_ID_DOCUMENT: "id"}
"""As ``--feature`` and the settings name them, in this order."""
_LANGUAGES_SHOWN = 10
_INDENT = 2


def providers_json(response: ListProvidersResponse) -> str:
    """The response as indented JSON, every field named."""
    message = json_format.MessageToDict(
        response, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return json.dumps(message, ensure_ascii=False, indent=2)


def providers_table(response: ListProvidersResponse) -> RenderableType:
    """A block a provider, then the routes; for 80 columns, so not every detail: ``providers_json`` has those.

    A feature's state stands where it is another than the provider's.
    """
    blocks: list[RenderableType] = []
    for provider in response.providers:
        blocks += [_title(provider), Padding(_facts(provider), (0, 0, 1, _INDENT))]
    if response.routes:
        blocks += [
            Text("routes, first choice first", "bold"),
            Padding(_routes(list(response.routes)), (0, 0, 0, _INDENT)),
        ]
    return Group(*blocks) if blocks else Text("the gateway has no providers")


def _title(provider: Provider) -> Text:
    state = _state(provider.state)
    kind = _words(ProviderKind.Name(provider.kind), "PROVIDER_KIND_")
    title = Text.assemble((provider.name, "bold"), "  ", (state, _STYLES.get(state, "")), "  ", (kind, "dim"))
    return title.append(f"  {provider.model}", "dim") if provider.model else title


def _facts(provider: Provider) -> Table:
    table = _grid()
    if provider.state_detail:
        table.add_row("why", Text(provider.state_detail))
    if provider.HasField("budget"):
        table.add_row("budget", Text(_budget(provider)))
    for feature in sorted(provider.features, key=lambda feature: feature.feature):
        lines = [Text(_takes(feature)), Text(_load(feature))]
        if feature.price_per_unit:
            lines.append(Text(f"price {feature.price_per_unit:.6g} {feature.currency} a unit"))
        if feature.state not in (provider.state, ProviderState.PROVIDER_STATE_UNSPECIFIED):
            lines.insert(0, _feature_state(feature))
        table.add_row(_feature(feature.feature), Group(*lines))
    if provider.languages:
        table.add_row("languages", Text(_languages(list(provider.languages))))
    return table


def _routes(routes: list[Route]) -> Table:
    table = _grid()
    for route in routes:
        table.add_row(Text(f"{route.name}, {_feature(route.feature)}"), Text(_order(route)))
    return table


def _order(route: Route) -> str:
    """``a → b (3) | c (1)``: b and c share what goes past a, three images to one."""
    order = ""
    for before, name in zip(("", *route.providers), route.providers, strict=False):
        shares = name in route.weights and before in route.weights
        weight = f" ({route.weights[name]:g})" if name in route.weights else ""
        order += f"{(' | ' if shares else ' → ') if before else ''}{name}{weight}"
    return f"{order}; on to the next below {route.escalate_below:g}" if route.escalate_below else order


def _feature_state(feature: ProviderFeature) -> Text:
    state = _state(feature.state)
    return Text.assemble((state, _STYLES.get(state, "")), f": {feature.state_detail}" if feature.state_detail else "")


def _grid() -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    return table


def _takes(feature: ProviderFeature) -> str:
    limits = feature.limits
    taken = [
        f"≤ {_mib(limits.max_bytes)} MiB" if limits.max_bytes else "",
        f"≤ {limits.max_pixels / 1e6:g} MP" if limits.max_pixels else "",
        _sides(limits.min_side_px, limits.max_side_px),
        f"aspect ≤ {limits.max_aspect:g}" if limits.max_aspect else "",
    ]
    wants = _WANTS.get(feature.page_preference, "")
    return f"images {', '.join(filter(None, taken)) or 'of any size'}{wants and f', {wants}'}"


def _mib(size_bytes: int) -> str:
    """To two places, never more than there are."""
    return f"{math.floor(size_bytes / 2**20 * 100) / 100:g}"


def _sides(least_px: int, most_px: int) -> str:
    if least_px and most_px:
        return f"{least_px}–{most_px} px"
    if most_px:
        return f"sides ≤ {most_px} px"
    return f"sides ≥ {least_px} px" if least_px else ""


def _load(feature: ProviderFeature) -> str:
    quota = feature.quota
    rates = [
        f"{quota.requests_per_second:g}/s" if quota.requests_per_second else "",
        f"{quota.requests_per_day}/day" if quota.requests_per_day else "",
        f"{quota.requests_per_month}/month" if quota.requests_per_month else "",
        f"{quota.max_concurrency} at once" if quota.max_concurrency else "",
    ]
    allowed = ", ".join(filter(None, rates)) or "no limit"
    return f"quota {allowed}; now {quota.in_progress} running, {quota.waiting} waiting"


def _budget(provider: Provider) -> str:
    """``40 of 1000 units, 0.12 of 3 CNY``: what is spent today of what may be."""
    budget = provider.budget
    currency = next((feature.currency for feature in provider.features if feature.currency), "")
    limits = [
        (budget.units_used, budget.units_per_day, "units"),
        (budget.cost_used, budget.cost_per_day, currency),
    ]
    spent = [f"{used:.10g} of {limit:.10g} {unit}".rstrip() for used, limit, unit in limits if limit]
    return f"today {', '.join(spent)}"


def _languages(languages: list[str]) -> str:
    shown = ", ".join(languages[:_LANGUAGES_SHOWN])
    rest = len(languages) - _LANGUAGES_SHOWN
    return f"{shown} and {rest} more" if rest > 0 else shown


def _feature(feature: Feature.ValueType) -> str:
    return _FEATURES.get(feature) or _words(Feature.Name(feature), "FEATURE_")


def _state(state: ProviderState.ValueType) -> str:
    return _words(ProviderState.Name(state), "PROVIDER_STATE_")


def _words(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower().replace("_", " ")
