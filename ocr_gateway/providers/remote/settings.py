"""The settings that every provider over the network has; a vendor's own derive from them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from ocr_gateway.model import Feature, FeatureSupport, IdDocument, ImageLimits, PagePreference, Quota
from ocr_gateway.providers.http import HttpClient
from ocr_gateway.providers.remote.secrecy import Kept
from ocr_gateway.setting_parts import ProviderPart, QuotaSettings, SecretSource, SecretUrl, laid_over
from rpc_runtime.settings import SettingsSection
from rpc_runtime.settings_source import fault_at

DEFAULT_RATES: Mapping[Feature, int] = {Feature.TEXT: 50, Feature.TABLE: 30, Feature.ID_DOCUMENT: 20}
"""Calls a second unless the settings say otherwise: the contract's."""
_TOKEN_CONNECTIONS = 1


class RemoteFeature(SettingsSection):
    """One feature of an account."""

    quota: QuotaSettings = Field(default=QuotaSettings(), description="As it was bought.")
    price_per_unit: float = Field(
        default=0.0, ge=0, le=1e6, description="Of one billed unit, in the gateway's currency."
    )
    regions: Literal["separate", "mosaic"] = Field(
        default="separate", description="Regions of a page: a call each, or all in one image (text only)."
    )

    def support(
        self, limits: ImageLimits, *, mosaic: bool = False, documents: frozenset[IdDocument] = frozenset()
    ) -> FeatureSupport:
        """The feature with these limits, one unit a call. ``mosaic``: regions may go in one image, where the settings
        say so."""
        return FeatureSupport(
            limits=limits,
            page_preference=PagePreference.UNTOUCHED,
            quota=self.quota.quota,
            units_per_call=1.0,
            price_per_unit=self.price_per_unit,
            documents=documents,
            mosaic=mosaic and self.regions == "mosaic",
        )


class Credentials(SettingsSection):
    """Keys of an account: every field of a vendor's own class is a SecretSource, or none where it may be left out."""

    @model_validator(mode="before")
    @classmethod
    def _has_known_names(cls, given: object) -> object:
        # Another name is not repeated: it may be a key that stands in the wrong place.
        if isinstance(given, Mapping) and not set(given) <= set(cls.model_fields):
            raise ValueError(f"only {', '.join(cls.model_fields)} can stand here")
        return given

    @property
    def missing(self) -> str:
        """What there is not, in words; empty when all keys are there."""
        sources = (getattr(self, name) for name in type(self).model_fields)
        return "; ".join(source.missing for source in sources if isinstance(source, SecretSource) and source.missing)

    def read(self, name: str) -> str | None:
        """A key; None where there is none."""
        source = getattr(self, name)
        secret = source.read() if isinstance(source, SecretSource) else None
        return secret.get_secret_value() if secret else None


class RemoteSettings(ProviderPart):
    """One account at a service, or one server of one's own.

    A vendor's class sets ``kind``, ``endpoint``, ``credentials`` and ``features`` with types of its own. ``features``
    has a field for each feature that it reads, named by ``Feature``'s values. ``rates`` are calls a second where the
    settings name none, ``calls_at_once`` likewise (none: twice the rate), ``day_offset_h`` the hours by which its day
    begins before that of UTC; ``key_variables`` are the environment's variables of the credentials of the provider
    whose name is its kind. ``mosaic_features`` are those whose regions may go in one image. ``may_have_path``: whether
    the service may stand below a path of its host.
    """

    rates: ClassVar[Mapping[Feature, int]] = DEFAULT_RATES
    calls_at_once: ClassVar[int | None] = None
    day_offset_h: ClassVar[float] = 0.0
    key_variables: ClassVar[Mapping[str, str]] = {}
    mosaic_features: ClassVar[frozenset[Feature]] = frozenset({Feature.TEXT})
    may_have_path: ClassVar[bool] = False

    endpoint: str = Field(description="Scheme and host. The keys go there, so http is for tests and one's own servers.")
    timeout_s: float = Field(default=10.0, gt=0, description="Of one attempt.")
    proxy: SecretUrl = Field(default=None, description="http:// URL of a proxy. A password: as for redis.url.")
    max_connections: int | None = Field(
        default=None, ge=1, description="To the service, at one time; none: one more than the max_concurrency of all."
    )

    @model_validator(mode="before")
    @classmethod
    def _quotas_are_filled_in(cls, given: object) -> object:
        if not isinstance(given, Mapping):
            return given
        more: dict[str, float] = {"day_starts_utc_offset_h": cls.day_offset_h} if cls.day_offset_h else {}
        if cls.calls_at_once is not None:
            more["max_concurrency"] = cls.calls_at_once
        fields: Mapping[str, Any] = getattr(cls.model_fields["features"].annotation, "model_fields", {})
        declared = given.get("features")
        declared = declared if isinstance(declared, Mapping) else {}
        defaults = {
            feature.value: {"quota": {"requests_per_second": cls.rates.get(feature, 0), **more}}
            for feature in Feature
            if feature.value in fields
            and (fields[feature.value].default is not None or declared.get(feature.value) is not None)
        }
        return {**given, "features": laid_over(defaults, given.get("features"))}

    @field_validator("endpoint")
    @classmethod
    def _is_a_url(cls, value: str) -> str:
        if not _is_address(value):
            raise ValueError("give the scheme and the host, as https://ocr.example.com")
        if urlsplit(value).path.strip("/") and not cls.may_have_path:
            raise ValueError("give the scheme and the host alone: the path is the service's own")
        return value.rstrip("/")

    @field_validator("proxy")
    @classmethod
    def _is_a_proxy(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not _is_address(value.get_secret_value(), schemes=("http",), with_user=True):
            raise ValueError("give the scheme, the host and the port, as http://proxy.example.com:3128")
        return value

    @model_validator(mode="after")
    def _mosaics_are_read(self) -> Self:
        for feature in self.reads - self.mosaic_features:
            if (part := self.feature(feature)) is not None and part.regions == "mosaic":
                fault = "mosaic is not for this one, each region is read by itself"
                raise fault_at(("features", feature.value, "regions"), fault)
        return self

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
    def keys(self) -> Credentials | None:
        """Its credentials; None for a service without any."""
        found = getattr(self, "credentials", None)
        return found if isinstance(found, Credentials) else None

    @property
    def reads(self) -> frozenset[Feature]:
        """What it reads."""
        return frozenset(feature for feature in Feature if self.feature(feature) is not None)

    def feature(self, feature: Feature) -> RemoteFeature | None:
        """The settings of one feature; None for one that it does not read."""
        found = getattr(getattr(self, "features", None), feature.value, None)
        return found if isinstance(found, RemoteFeature) else None

    def quotas(self) -> dict[Feature, Quota]:
        """The quota of each feature that it reads."""
        return {each: found.quota.quota for each in Feature if (found := self.feature(each)) is not None}

    def kept(self) -> Kept:
        """The keys, to be kept out of what is said."""
        keys = self.keys
        return Kept(*(keys.read(name) for name in type(keys).model_fields)) if keys is not None else Kept()

    def http_client(self) -> HttpClient:
        """A client of its own for its calls."""
        return HttpClient(
            max_connections=self.connections,
            max_connections_per_host=self.connections,
            proxy=self.proxy.get_secret_value() if self.proxy else None,
        )

    @property
    def _max_calls(self) -> int | None:
        """Calls in progress of all features; None: any number."""
        calls = [quota.max_concurrency for quota in self.quotas().values()]
        return sum(calls) if all(calls) else None


def _is_address(url: str, schemes: Collection[str] = ("http", "https"), *, with_user: bool = False) -> bool:
    """Whether it has a scheme and a host, and nothing that may be a key."""
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:  # of a port or an IPv6 address
        return False
    is_plain = url.isascii() and url.isprintable() and " " not in url
    return is_whole and is_plain and not parts.query and not parts.fragment and (with_user or "@" not in parts.netloc)


Key = Annotated[SecretSource, Field(description="{env: NAME} or {file: PATH}.")]
"""A key that must be there."""
OptionalKey = Annotated[SecretSource | None, Field(description="{env: NAME} or {file: PATH}.")]
"""A key that may be left out; needs a default of None."""
