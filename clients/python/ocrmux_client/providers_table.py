"""The providers of a gateway, for a person and for a program."""

from __future__ import annotations

import json

from google.protobuf import json_format
from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ocrmux.gateway.v1.gateway_pb2 import (
    ListProvidersResponse,
    Provider,
    ProviderFeature,
    ProviderKind,
    ProviderState,
)
from ocrmux.ocr.v1.recognition_pb2 import Feature

_STYLES = {"serving": "green", "starting": "yellow", "not configured": "dim", "rested": "red", "quota spent": "red"}


def providers_json(response: ListProvidersResponse) -> str:
    """The response as indented JSON, every field named."""
    message = json_format.MessageToDict(
        response, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return json.dumps(message, ensure_ascii=False, indent=2)


def providers_table(response: ListProvidersResponse) -> RenderableType:
    """A row a provider and feature, then what is to be said of single ones, then the routes."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for column in ("provider", "state", "kind", "feature"):
        table.add_column(column, no_wrap=True)
    for column in ("model", "takes", "quota", "now"):
        table.add_column(column, overflow="fold")
    for provider in response.providers:
        for index, feature in enumerate(provider.features or [None]):
            cells = _provider_cells(provider) if index == 0 else ("", "", "")
            table.add_row(*cells, *_feature_cells(provider, feature))
    details = [
        Text(f"{provider.name}: {provider.state_detail}", "dim")
        for provider in response.providers
        if provider.state_detail
    ]
    routes = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for column in ("route", "feature", "providers, first choice first"):
        routes.add_column(column, overflow="fold")
    for route in response.routes:
        feature_name = _words(Feature.Name(route.feature), "FEATURE_")
        routes.add_row(escape(route.name), feature_name, escape(" → ".join(route.providers)))
    return Group(table, *details, *([routes] if response.routes else []))


def _provider_cells(provider: Provider) -> tuple[str, str, str]:
    state = _words(ProviderState.Name(provider.state), "PROVIDER_STATE_")
    styled = f"[{_STYLES[state]}]{state}[/]" if state in _STYLES else state
    return f"[bold]{escape(provider.name)}[/]", styled, _words(ProviderKind.Name(provider.kind), "PROVIDER_KIND_")


def _feature_cells(provider: Provider, feature: ProviderFeature | None) -> tuple[str, str, str, str, str]:
    model = escape(provider.model)
    if feature is None:
        return "", model, "", "", ""
    limits, quota = feature.limits, feature.quota
    taken = [
        f"≤ {limits.max_bytes / 2**20:g} MiB" if limits.max_bytes else "",
        f"≤ {limits.max_pixels / 1e6:g} MP" if limits.max_pixels else "",
        f"{limits.min_side_px or ''}–{limits.max_side_px or ''} px" if limits.max_side_px or limits.min_side_px else "",
        f"aspect ≤ {limits.max_aspect:g}" if limits.max_aspect else "",
    ]
    rates = [
        f"{quota.requests_per_second:g}/s" if quota.requests_per_second else "",
        f"{quota.max_concurrency} at once" if quota.max_concurrency else "",
    ]
    load = f"{quota.in_progress} running\n{quota.waiting} waiting"
    name = _words(Feature.Name(feature.feature), "FEATURE_")
    return name, model, "\n".join(filter(None, taken)), "\n".join(filter(None, rates)) or "no limit", load


def _words(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower().replace("_", " ")
