"""The gateway's settings: the environment (GATEWAY_, sections joined by __), before a YAML file, before the defaults.

Secrets come from the environment or from files of their own. What concerns several settings at once, as the providers
that a route names, is checked by ``config_check``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from ocr_gateway.model import Feature
from ocr_gateway.money_settings import BudgetSettings, Currency
from ocr_gateway.provider_settings import EMBEDDED, ProviderSettings, built_in_providers, with_kind
from ocr_gateway.setting_parts import ProviderPart, SecretUrl, has_password
from rpc_runtime.settings import MIB, ServerSettings, SettingsSection
from rpc_runtime.settings_source import Location, fault_at, faults_at

ENV_PREFIX = "GATEWAY_"


def _name(value: str) -> str:
    if len(value) > 63 or not re.fullmatch(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*", value):
        raise ValueError("a name has small letters, digits, and single - or _ between them, 63 characters at most")
    return value


Name = Annotated[str, AfterValidator(_name)]
"""A provider's or route's name."""


def _default_cache_dir() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "ocrmux"


class CacheSettings(SettingsSection):
    """The two levels of the cache."""

    memory_bytes: int = Field(default=64 * MIB, ge=0, description="First level; 0 turns it off.")
    dir: Path | None = Field(
        default_factory=_default_cache_dir,
        description="Second level without Redis, an SQLite file in this folder; empty: none.",
    )
    store_bytes: int = Field(default=1024 * MIB, ge=0, description="The SQLite file, all values; 0 turns it off.")
    max_value_bytes: int = Field(
        default=4 * MIB, ge=0, description="Second level, one value; larger ones are not kept."
    )
    ttl_s: float = Field(default=24 * 3600.0, gt=0, description="Both levels; the second with 10 % jitter.")
    store_timeout_s: float = Field(default=0.1, gt=0, description="The most that the SQLite file may cost an item.")
    store_rest_s: float = Field(default=5.0, gt=0, description="The SQLite file is bypassed so long when it fails.")
    lease_s: float = Field(
        default=10.0, gt=0, description="A replica that reads an image for all dies: the others wait at most so long."
    )

    @field_validator("dir", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value


class RedisSettings(SettingsSection):
    """The Redis that replicas share quotas and results by."""

    url: SecretUrl = Field(
        default=None,
        description="redis://HOST:PORT/DB, redis+cluster://HOST:PORT,HOST:PORT, "
        "redis+sentinel://HOST:PORT,HOST:PORT/MASTER; rediss for TLS; empty: none. One with a password comes from the "
        "environment, or as {file: PATH}.",
    )
    timeout_s: float = Field(
        default=0.06, gt=0, description="Of one command, and so nearly the most that Redis costs an item."
    )
    rest_s: float = Field(default=1.0, gt=0, description="A Redis that failed is tried again so often.")
    max_connections: int = Field(default=64, ge=1, description="Of this replica.")
    replicas: int | None = Field(
        default=None, ge=1, description="Gateways on this Redis, for each one's share while it is gone; none: learned."
    )

    @field_validator("url")
    @classmethod
    def _is_of_redis(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.match(r"rediss?(\+cluster|\+sentinel)?://[^/]", value.get_secret_value()):
            raise ValueError("an address as redis://HOST:PORT is expected")
        return value


class RouteEntry(SettingsSection):
    """One provider of a route; in a file its name alone will do."""

    provider: str = Field(description="A provider's name.")
    weight: int | None = Field(
        default=None, ge=1, le=1000, description="Neighbours with weights share the images by them."
    )

    @model_validator(mode="before")
    @classmethod
    def _from_its_name(cls, given: object) -> object:
        return {"provider": given} if isinstance(given, str) else given


class RouteSettings(SettingsSection):
    """Who reads a feature, first choice first. The first route of a feature is the one for callers that name none."""

    feature: Feature = Field(default=Feature.TEXT, description="text, table or id.")
    providers: tuple[RouteEntry, ...] = Field(min_length=1, description="Names, or {provider: NAME, weight: 3}.")
    escalate_below: float | None = Field(
        default=None, gt=0, le=1, description="A result of less confidence is read again by the next provider."
    )

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        names = [entry.provider for entry in self.providers]
        faults: list[tuple[Location, str]] = []
        for index, entry in enumerate(self.providers):
            if entry.provider in names[:index]:
                faults.append((("providers", index), f"{entry.provider} stands in this route already"))
            beside = [self.providers[n] for n in (index - 1, index + 1) if 0 <= n < len(names)]
            if entry.weight is not None and all(other.weight is None for other in beside):
                faults.append((("providers", index, "weight"), "weights are for providers that stand side by side"))
        if self.escalate_below is not None and len(names) == 1:
            faults.append((("escalate_below",), "there is no second provider to ask"))
        if faults:
            raise faults_at(faults)
        return self


class TenantSettings(SettingsSection):
    """One tenant, by the name that its callers are known by."""

    weight: float = Field(default=1.0, ge=0.01, le=1000, description="Turns for each turn of a tenant of weight 1.")
    budget: BudgetSettings | None = Field(default=None, description="What it may spend in a day; none: no limit.")


class RetrySettings(SettingsSection):
    """When a failed call is made again."""

    max_attempts: int = Field(default=6, ge=1, description="At one provider, the first one included.")
    first_backoff_s: float = Field(default=0.2, gt=0, description="Doubled after each failure, with jitter.")
    max_backoff_s: float = Field(default=30.0, gt=0, le=30, description="The longest wait.")
    budget_ratio: float = Field(default=0.2, ge=0, description="Retries for each first attempt, at most.")
    budget_per_s: float = Field(default=10.0, gt=0, description="Retries a second over and above those.")

    @model_validator(mode="after")
    def _grows(self) -> Self:
        if self.first_backoff_s > self.max_backoff_s:
            raise fault_at(("first_backoff_s",), "is longer than max_backoff_s")
        return self


class CircuitSettings(SettingsSection):
    """When a failing provider is rested."""

    window: int = Field(default=20, ge=1, le=10_000, description="The last so many calls count.")
    failure_share: float = Field(default=0.5, gt=0, le=1, description="It rests when so many of them failed.")
    min_calls: int = Field(default=10, ge=1, description="And there were so many.")
    rest_s: float = Field(default=1.0, gt=0, description="The first rest; doubled while it goes on failing.")
    max_rest_s: float = Field(default=10.0, gt=0, description="The longest one.")
    wait_s: float = Field(default=60.0, ge=0, description="Items with nobody else to go to wait so long for it.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.min_calls > self.window:
            raise fault_at(("min_calls",), "is more than window, so that the provider is never rested")
        if self.rest_s > self.max_rest_s:
            raise fault_at(("rest_s",), "is longer than max_rest_s")
        return self


class GatewaySettings(ServerSettings):
    """One gateway process. Times are in seconds, sizes in bytes."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, env_nested_delimiter="__", extra="forbid")

    config_file: Path | None = Field(default=None, description="YAML file of settings; the environment goes first.")
    listen: str = Field(default="127.0.0.1:50052", description="Address to listen on, HOST:PORT; port 0: a free one.")
    metrics_listen: str = Field(default="", description="HOST:PORT that serves /metrics to Prometheus; empty: none.")
    max_pixels: int = Field(default=100_000_000, ge=1, description="Of one image, by its header.")
    cache: CacheSettings = Field(default_factory=CacheSettings, description="Results that are kept.")
    redis: RedisSettings = Field(default_factory=RedisSettings, description="Shared by the replicas.")
    providers: dict[Name, ProviderSettings] = Field(
        default_factory=dict, validate_default=True, description="Who reads; rapidocr, tesseract and baidu are there."
    )
    routes: dict[Name, RouteSettings] = Field(default_factory=dict, description="In which order they are asked.")
    tenants: dict[str, TenantSettings] = Field(default_factory=dict, description="Who has more turns, or fewer.")
    default_tenant_weight: float = Field(default=1.0, ge=0.01, le=1000, description="Of a tenant not named above.")
    default_tenant_budget: BudgetSettings | None = Field(
        default=None, description="Of all tenants not named above, together; none: no limit."
    )
    currency: Currency = Field(default="", description="Of all prices and budgets: an ISO 4217 code, as CNY.")
    retry: RetrySettings = Field(default_factory=RetrySettings, description="Retries of failed calls.")
    circuit: CircuitSettings = Field(default_factory=CircuitSettings, description="When a provider is rested.")

    @property
    def providers_in_use(self) -> dict[str, ProviderPart]:
        """Those that are turned on, in the order of declaration."""
        return {name: provider for name, provider in self.providers.items() if provider.in_use}

    def tenant_weight(self, tenant: str) -> float:
        """A tenant's weight, declared or not."""
        declared = self.tenants.get(tenant)
        return self.default_tenant_weight if declared is None else declared.weight

    @field_validator("metrics_listen")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        if value and not re.fullmatch(r"[^\s:]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5}", value):
            raise ValueError("give HOST:PORT")
        return value

    @field_validator("providers", mode="before")
    @classmethod
    def _built_in_ones_are_there(cls, given: object) -> object:
        if not isinstance(given, Mapping):
            return given
        providers = {**given, **{name: given.get(name) for name in built_in_providers()}}
        return {name: with_kind(name, value) for name, value in providers.items()}

    @field_validator("providers")
    @classmethod
    def _kinds_fit_names(cls, providers: dict[str, ProviderSettings]) -> dict[str, ProviderSettings]:
        faults: list[tuple[Location, str]] = []
        for name, provider in providers.items():
            if provider.kind != name and name in built_in_providers():
                faults.append(((name, "kind"), f"the name {name} is for the kind {name}"))
            elif provider.kind != name and provider.kind in EMBEDDED:
                faults.append(
                    ((name, "kind"), f"there is one {provider.kind}, under its own name; give it more workers")
                )
        if faults:
            raise faults_at(faults)
        return providers

    @classmethod
    def faults_of_file(cls, content: Mapping[str, Any]) -> list[tuple[Location, str]]:
        """URLs with passwords: a file of settings is read by more people than a password is for."""
        providers = content.get("providers")
        names = list(providers) if isinstance(providers, Mapping) else []
        urls = [
            (("redis", "url"), _at(content, "redis", "url")),
            *((("providers", name, "proxy"), _at(providers, name, "proxy")) for name in names),
        ]
        message = "a password does not stand here: write {env: NAME} or {file: PATH} for the whole URL"
        return [(location, message) for location, url in urls if isinstance(url, str) and has_password(url)]


def _at(content: object, name: str, key: str) -> object:
    section = content.get(name) if isinstance(content, Mapping) else None
    return section.get(key) if isinstance(section, Mapping) else None
