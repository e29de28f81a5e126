"""What settings must hold to together, and the summary that ``--check-config`` prints."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from ocr_gateway.model import Feature
from ocr_gateway.money_check import budget_words, budgets_of, money_faults, price_words
from ocr_gateway.provider_settings import RapidOcrSettings, TesseractSettings
from ocr_gateway.providers.remote.settings import RemoteSettings
from ocr_gateway.redis_link import RedisLink
from ocr_gateway.routing import Route, RouteEntry
from ocr_gateway.setting_parts import ProviderPart, QuotaSettings
from ocr_gateway.settings import ENV_PREFIX, GatewaySettings, RouteSettings
from rpc_runtime.caller_keys import read_tokens_file
from rpc_runtime.settings_source import (
    Location,
    SettingsInvalid,
    describe_faults,
    faults_at,
    read_settings_file,
    suggestion,
)

_FIRST_CHOICE = ("rapidocr", "tesseract")


def load_settings(config_file: Path | None = None) -> GatewaySettings:
    """The settings of this environment and file, checked. Raises SettingsInvalid, whose faults name the keys."""
    settings = GatewaySettings() if config_file is None else GatewaySettings(config_file=config_file)
    routes_of(settings, {name: provider.reads for name, provider in settings.providers_in_use.items()})
    if faults := list(money_faults(settings)):
        raise _invalid(settings, faults)
    if settings.tokens_file is not None:
        read_tokens_file(settings.tokens_file)
    if settings.redis.url is not None:
        try:
            RedisLink(settings.redis.url.get_secret_value())
        except ValueError:  # its message may hold the password
            fault = "is no address of Redis; docs/operations.md has the forms"
            raise _invalid(settings, [(("redis", "url"), fault)]) from None
    return settings


def routes_of(settings: GatewaySettings, providers: Mapping[str, Collection[Feature]]) -> list[Route]:
    """The declared routes, then one for each feature that has none and that one of ``providers`` reads.

    ``providers`` says what each one reads, in the order of declaration. Raises SettingsInvalid when a declared route
    names a provider that is not among them or does not read the route's feature.
    """
    faults = [fault for name, route in settings.routes.items() for fault in _faults(name, route, providers)]
    if faults:
        raise _invalid(settings, faults)
    routes = [
        Route(
            name,
            route.feature,
            tuple(RouteEntry(entry.provider, entry.weight) for entry in route.providers),
            route.escalate_below or 0.0,
        )
        for name, route in settings.routes.items()
    ]
    first = [name for name in _FIRST_CHOICE if name in providers]
    order = [*first, *(name for name in providers if name not in first)]
    for feature in Feature:
        able = tuple(RouteEntry(name) for name in order if feature in providers[name])
        if able and not any(route.feature is feature for route in routes):
            routes.append(Route(_free_name(feature, settings.routes), feature, able))
    return routes


def _invalid(settings: GatewaySettings, faults: Sequence[tuple[Location, str]]) -> SettingsInvalid:
    file = read_settings_file(settings.config_file) if settings.config_file else None
    return SettingsInvalid(describe_faults(faults_at(faults), ENV_PREFIX, file))


def _faults(
    name: str, route: RouteSettings, providers: Mapping[str, Collection[Feature]]
) -> Iterator[tuple[Location, str]]:
    for index, entry in enumerate(route.providers):
        key = ("routes", name, "providers", index)
        if entry.provider not in providers:
            yield key, f"no provider in use is named {entry.provider}{suggestion(entry.provider, providers)}"
        elif route.feature not in providers[entry.provider]:
            yield key, f"{entry.provider} does not read the route's feature {route.feature.value}"


def _free_name(feature: Feature, taken: Collection[str]) -> str:
    name = "default" if feature is Feature.TEXT else f"default-{feature.value}"
    return name if name not in taken else f"built-in-{feature.value}"


def summary(settings: GatewaySettings) -> list[str]:
    """What the settings come to, as lines for people; no secret stands in them."""
    tables = (
        ("server", _server(settings)),
        ("providers", _providers(settings)),
        ("routes", _routes(settings)),
        ("cache", _cache(settings)),
        ("redis", _redis(settings)),
        ("tenants", _tenants(settings)),
        ("budgets", _budgets(settings)),
    )
    lines: list[str] = []
    for title, rows in tables:
        width = max(len(name) for name, _ in rows)
        lines += [title, *(f"  {name:<{width}}  {text}" for name, text in rows)]
    return lines


_Rows = list[tuple[str, str]]


def _server(settings: GatewaySettings) -> _Rows:
    tls = "no TLS" if settings.tls_cert_file is None else "mutual TLS" if settings.tls_client_ca_file else "TLS"
    return [
        ("file", str(settings.config_file or "none")),
        ("listen", f"{settings.listen}, {tls}"),
        ("callers", f"those with a token of {settings.tokens_file}" if settings.tokens_file else "anybody"),
        ("metrics", settings.metrics_listen or "none"),
    ]


def _providers(settings: GatewaySettings) -> _Rows:
    rows: _Rows = []
    for name, provider in settings.providers.items():
        if not provider.in_use:
            rows.append((name, f"{provider.kind}; turned off"))
        elif isinstance(provider, RemoteSettings):
            missing = provider.keys.missing if provider.keys else ""
            state = f"not configured: {missing}" if missing else "configured"
            rows.append((name, f"{provider.kind}; {state}; {provider.endpoint}"))
            for feature in Feature:
                if (part := provider.feature(feature)) is not None:
                    price = price_words(provider, feature, settings.currency)
                    rows.append((f"{name} {feature.value}", "; ".join(filter(None, (_quota(part.quota), price)))))
        else:
            rows.append((name, f"{provider.kind}; {_embedded(provider)}"))
    return rows


def _embedded(provider: ProviderPart) -> str:
    if not isinstance(provider, RapidOcrSettings | TesseractSettings):
        return ""
    workers = f"{provider.workers} worker{'s' if provider.workers > 1 else ''}"
    return f"{workers}, {provider.binary}" if isinstance(provider, TesseractSettings) else workers


def _quota(quota: QuotaSettings) -> str:
    rate, at_once = quota.requests_per_second, quota.quota.max_concurrency
    limits = {
        "a second": rate,
        "a day": quota.requests_per_day,
        "a month": quota.requests_per_month,
        "at one time": at_once,
    }
    words = ", ".join(f"{limit:g} {unit}" for unit, limit in limits.items() if limit) or "no limit"
    if 0 < at_once < rate:
        words += f"; warning: with calls of more than {at_once / rate:.2g} s it is not used to the full"
    return words


def _routes(settings: GatewaySettings) -> _Rows:
    providers = {name: provider.reads for name, provider in settings.providers_in_use.items()}
    rows: _Rows = []
    for route in routes_of(settings, providers):
        steps = (f"{e.provider} ({e.weight:g})" if e.weight is not None else e.provider for e in route.entries)
        escalation = f"; escalates below {route.escalate_below:g}" if route.escalate_below else ""
        rows.append((route.name, f"{route.feature.value}: {', '.join(steps)}{escalation}"))
    return rows or [("none", "no provider is turned on: every item is refused")]


def _cache(settings: GatewaySettings) -> _Rows:
    cache = settings.cache
    if settings.redis.url is not None:
        second = "Redis"
    elif cache.dir is None or cache.store_bytes == 0:
        second = "none"
    else:
        second = f"SQLite in {cache.dir}, {_size(cache.store_bytes)}"
    return [
        ("memory", _size(cache.memory_bytes) if cache.memory_bytes else "none"),
        ("store", second),
        ("kept", f"{cache.ttl_s:g} s"),
    ]


def _size(size_bytes: int) -> str:
    """In the largest unit of which it is a whole number."""
    for name, unit in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size_bytes % unit == 0:
            return f"{size_bytes // unit} {name}"
    return f"{size_bytes} bytes"


def _redis(settings: GatewaySettings) -> _Rows:
    redis = settings.redis
    if redis.url is None:
        return [("url", "none: quotas are this process's own")]
    replicas = str(redis.replicas or "learned")
    if not redis.replicas and _has_budgets(settings):
        replicas += "; warning: until a gateway reaches Redis it may spend each budget alone, where this is not set"
    return [("url", _without_secrets(redis.url)), ("replicas", replicas)]


def _has_budgets(settings: GatewaySettings) -> bool:
    tenants = [*settings.tenants.values()]
    budgets = [*(p.budget for p in settings.providers_in_use.values()), *(t.budget for t in tenants)]
    return any((*budgets, settings.default_tenant_budget))


def _without_secrets(url: SecretStr) -> str:
    parts = urlsplit(url.get_secret_value())
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}{', with a password' if parts.password else ''}"


def _tenants(settings: GatewaySettings) -> _Rows:
    rows = [(name, f"weight {tenant.weight:g}") for name, tenant in settings.tenants.items()]
    return [*rows, ("any other", f"weight {settings.default_tenant_weight:g}")]


def _budgets(settings: GatewaySettings) -> _Rows:
    budgets = budgets_of(settings)
    rows = [(name, budget_words(budget, settings.currency)) for name, budget in budgets.items()]
    return rows or [("none", "nothing limits what is spent in a day")]
