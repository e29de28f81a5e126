"""What the settings of providers and of the gateway have in common: secrets, quotas, and what every provider has."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from ocr_gateway.model import Feature, Quota
from ocr_gateway.money_settings import BudgetSettings
from rpc_runtime.settings import SettingsSection


class SecretSource(SettingsSection):
    """Where a secret is: in a variable of the environment or in a file, whose last line break does not count."""

    env: str | None = Field(default=None, description="Name of an environment variable, in capitals.")
    file: Path | None = Field(default=None, description="Path of a file that holds the secret and nothing else.")

    @model_validator(mode="before")
    @classmethod
    def _is_no_secret(cls, given: object) -> object:
        # No key of a wrong mapping is repeated either: it may be the secret.
        if isinstance(given, cls):
            return given
        if not isinstance(given, Mapping) or not set(given) <= {"env", "file"}:
            raise ValueError("a secret does not stand here: write {env: NAME} or {file: PATH}, which say where it is")
        if sum(value is not None for value in given.values()) != 1:
            raise ValueError("write either {env: NAME} or {file: PATH}")
        return given

    @field_validator("env")
    @classmethod
    def _is_a_variable(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Z_][A-Z0-9_]*", value):
            raise ValueError("the name of an environment variable, in capitals, is expected")
        return value

    def read(self) -> SecretStr | None:
        """The secret; None when there is none, see ``missing``."""
        return SecretStr(text) if (text := self._text()) else None

    @property
    def missing(self) -> str:
        """Why there is no secret, in words; empty when there is one."""
        if self._text():
            return ""
        if self.env is not None:
            return f"the environment variable {self.env} is not set"
        return f"the file {self.file} is empty or cannot be read"

    def _text(self) -> str:
        if self.env is not None:
            return os.environ.get(self.env, "").rstrip("\r\n")
        try:
            return "" if self.file is None else self.file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError):
            return ""


def laid_over(defaults: Mapping[str, Any], given: object) -> object:
    """``given``, and what it leaves out; None counts as an empty mapping."""
    if given is None:
        return dict(defaults)
    if not isinstance(given, Mapping):
        return given
    filled = {
        name: laid_over(value, given.get(name)) if isinstance(value, Mapping) else given.get(name, value)
        for name, value in defaults.items()
    }
    return {**given, **filled}


def _url_from_source(given: object) -> object:
    if given == "":
        return None
    if not isinstance(given, Mapping):
        return given
    source = SecretSource.model_validate(given)
    if source.missing:
        raise ValueError(source.missing)
    return source.read()


SecretUrl = Annotated[SecretStr | None, BeforeValidator(_url_from_source)]
"""A URL that may hold a password: as it is, or {env: NAME} or {file: PATH}. Empty is none."""


class QuotaSettings(SettingsSection):
    """How often one feature of a provider may be called; 0: no limit."""

    requests_per_second: float = Field(default=0.0, ge=0, description="A whole number, or below 1.")
    requests_per_day: int = Field(default=0, ge=0, description="Calls a day.")
    requests_per_month: int = Field(default=0, ge=0, description="Calls a calendar month.")
    max_concurrency: int | None = Field(
        default=None, ge=0, description="Calls in progress, of all; none: twice requests_per_second; 0: no limit."
    )
    margin: float = Field(
        default=0.02, ge=0, lt=1, description="The second is made longer by this share, for the network's jitter."
    )
    day_starts_utc_offset_h: float = Field(
        default=0.0,
        ge=-12,
        le=14,
        description="Hours by which the provider's clock is ahead of UTC, for day and month.",
    )

    @field_validator("requests_per_second")
    @classmethod
    def _is_whole_or_below_1(cls, value: float) -> float:
        if value > 1 and value != int(value):
            raise ValueError("give a whole number, or one below 1")
        return value

    @property
    def quota(self) -> Quota:
        """In the gateway's vocabulary."""
        return Quota(
            requests_per_second=self.requests_per_second,
            requests_per_day=self.requests_per_day,
            requests_per_month=self.requests_per_month,
            max_concurrency=self._max_concurrency,
            margin=self.margin,
            period_offset_s=round(self.day_starts_utc_offset_h * 3600),
        )

    @property
    def _max_concurrency(self) -> int:
        if self.max_concurrency is None:
            return math.ceil(2 * self.requests_per_second)
        return self.max_concurrency


class ProviderPart(SettingsSection):
    """What the settings of every provider have."""

    kind: str = Field(description="Which program or service it is.")
    enabled: bool = Field(default=True, description="false: as if it did not stand here.")
    budget: BudgetSettings | None = Field(default=None, description="What may be spent on it in a day; none: no limit.")

    @property
    def in_use(self) -> bool:
        """Whether there is such a provider."""
        return self.enabled

    @property
    def reads(self) -> frozenset[Feature]:
        """What it reads."""
        return frozenset({Feature.TEXT})


def has_password(url: str) -> bool:
    """Whether a URL holds one, or may."""
    try:
        return urlsplit(url).password is not None or "password=" in url
    except ValueError:
        return "@" in url
