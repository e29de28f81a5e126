"""The settings of providers: secrets, quotas, and one section a kind of provider."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    SecretStr,
    Tag,
    field_validator,
    model_validator,
)

from ocr_gateway.model import Feature, Quota
from rpc_runtime.settings import SettingsSection
from rpc_runtime.settings_source import fault_at

_CORES = max(1, os.cpu_count() or 1)
_BAIDU_RATES: Mapping[str, int] = {"text": 50, "table": 30, "id": 20}
_BAIDU_KEYS = {"api_key": {"env": "BAIDU_API_KEY"}, "secret_key": {"env": "BAIDU_SECRET_KEY"}}
_TOKEN_CONNECTIONS = 1
EMBEDDED = ("rapidocr", "tesseract")
BUILT_IN_PROVIDERS: tuple[str, ...] = ("rapidocr", "tesseract", "baidu")
"""Names, and kinds, of the providers that are there without being declared."""


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
            return os.environ.get(self.env, "")
        try:
            return "" if self.file is None else self.file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError):
            return ""


def _laid_over(defaults: Mapping[str, Any], given: object) -> object:
    """``given``, and what it leaves out; None counts as an empty mapping."""
    if given is None:
        return dict(defaults)
    if not isinstance(given, Mapping):
        return given
    filled = {
        name: _laid_over(value, given.get(name)) if isinstance(value, Mapping) else given.get(name, value)
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


class _ProviderPart(SettingsSection):
    enabled: bool = Field(default=True, description="false: as if it did not stand here.")

    @property
    def in_use(self) -> bool:
        """Whether there is such a provider."""
        return self.enabled

    @property
    def reads(self) -> frozenset[Feature]:
        """What it reads."""
        return frozenset({Feature.TEXT})


class RapidOcrSettings(_ProviderPart):
    """RapidOCR, embedded."""

    kind: Literal["rapidocr"] = Field(default="rapidocr", description="Which program it is.")
    workers: int = Field(default=_CORES, ge=0, description="Threads of one core each; 0 turns it off.")

    @property
    def in_use(self) -> bool:
        """Whether there is such a provider."""
        return self.enabled and self.workers > 0


class TesseractSettings(_ProviderPart):
    """Tesseract, as a program that is run."""

    kind: Literal["tesseract"] = Field(default="tesseract", description="Which program it is.")
    workers: int = Field(default=_CORES, ge=0, description="Processes of one core each; 0 turns it off.")
    binary: str = Field(default="tesseract", min_length=1, description="Name or path of the program.")

    @property
    def in_use(self) -> bool:
        """Whether there is such a provider."""
        return self.enabled and self.workers > 0


class BaiduCredentials(SettingsSection):
    """An application's keys."""

    api_key: SecretSource = Field(description="{env: NAME} or {file: PATH}.")
    secret_key: SecretSource = Field(description="{env: NAME} or {file: PATH}.")

    @property
    def missing(self) -> str:
        """What there is not, in words; empty when both keys are there."""
        return "; ".join(filter(None, (self.api_key.missing, self.secret_key.missing)))


class BaiduFeature(SettingsSection):
    """One feature of an account."""

    quota: QuotaSettings = Field(default=QuotaSettings(), description="As it was bought.")


class BaiduText(BaiduFeature):
    """Text."""

    endpoint: Literal["general", "general_basic", "accurate", "accurate_basic"] = Field(
        default="general", description="accurate: the better one; _basic: without places."
    )


class BaiduFeatures(SettingsSection):
    """What an account reads."""

    text: BaiduText = Field(default_factory=BaiduText, validate_default=True, description="Lines of text.")
    table: BaiduFeature = Field(default_factory=BaiduFeature, description="Tables.")
    id: BaiduFeature = Field(default_factory=BaiduFeature, description="Identity cards and other documents.")

    @model_validator(mode="before")
    @classmethod
    def _quotas_are_filled_in(cls, given: object) -> object:
        if not isinstance(given, Mapping):
            return given
        defaults = {
            name: {"quota": {"requests_per_second": rate, "day_starts_utc_offset_h": 8}}
            for name, rate in _BAIDU_RATES.items()
        }
        return _laid_over(defaults, given)


class BaiduSettings(_ProviderPart):
    """Baidu AIP, one account."""

    kind: Literal["baidu"] = Field(default="baidu", description="Whose service it is.")
    endpoint: str = Field(
        default="https://aip.baidubce.com", description="Scheme and host. The keys go there, so http is for tests."
    )
    credentials: BaiduCredentials = Field(description="Of the provider named baidu: BAIDU_API_KEY, BAIDU_SECRET_KEY.")
    timeout_s: float = Field(default=10.0, gt=0, description="Of one attempt.")
    features: BaiduFeatures = Field(
        default_factory=lambda: BaiduFeatures.model_validate({}), description="What it reads."
    )
    proxy: SecretUrl = Field(default=None, description="http:// URL of a proxy. A password: as for redis.url.")
    max_connections: int | None = Field(
        default=None, ge=1, description="To the service, at one time; none: one more than the max_concurrency of all."
    )

    @field_validator("endpoint")
    @classmethod
    def _is_a_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username:
            raise ValueError("give the scheme and the host, as https://aip.baidubce.com")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _connections_suffice(self) -> Self:
        calls = self._max_calls
        if self.max_connections is not None and calls is not None and self.max_connections < calls:
            fault = f"is less than {calls}, the max_concurrency of its features together: permits would go to waste"
            raise fault_at(("max_connections",), fault)
        return self

    @property
    def connections(self) -> int:
        """At one time, to the service; 0: any number."""
        if self.max_connections is not None:
            return self.max_connections
        return 0 if self._max_calls is None else self._max_calls + _TOKEN_CONNECTIONS

    @property
    def _max_calls(self) -> int | None:
        """Calls in progress of all features; None: any number."""
        calls = [getattr(self.features, feature.value).quota.quota.max_concurrency for feature in self.reads]
        return sum(calls) if all(calls) else None

    @property
    def reads(self) -> frozenset[Feature]:
        """What it reads."""
        return frozenset(Feature)


def _variant(given: object) -> str:
    kind = given.get("kind") if isinstance(given, Mapping) else getattr(given, "kind", None)
    return f"<{kind}>"


ProviderSettings = Annotated[
    Annotated[RapidOcrSettings, Tag("<rapidocr>")]
    | Annotated[TesseractSettings, Tag("<tesseract>")]
    | Annotated[BaiduSettings, Tag("<baidu>")],
    Discriminator(
        _variant,
        custom_error_type="setting",
        custom_error_message=f"keys with a kind ({', '.join(BUILT_IN_PROVIDERS)}) are expected below it",
    ),
]


def with_kind(name: str, given: object) -> object:
    """A provider's settings as given, with what follows from its name alone: its kind, and where its keys are."""
    if given is not None and not isinstance(given, Mapping):
        return given
    filled = {"kind": name, **(given or {})}
    keys = filled.get("credentials")
    if name == filled["kind"] == "baidu" and (keys is None or isinstance(keys, Mapping)):
        filled["credentials"] = {**_BAIDU_KEYS, **(keys or {})}
    return filled


def has_password(url: str) -> bool:
    """Whether a URL holds one, or may."""
    try:
        return urlsplit(url).password is not None or "password=" in url
    except ValueError:
        return "@" in url
