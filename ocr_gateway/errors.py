"""The gateway's expected errors. ``fault_table`` says what each becomes for the caller."""

from __future__ import annotations

from collections.abc import Iterable

from rpc_runtime.expected_error import ExpectedError


class ImageEmpty(ExpectedError):
    """An item whose image has no bytes."""

    field = "item.image"

    def __init__(self) -> None:
        super().__init__("the image is empty: 0 bytes")


class ImageUndecodable(ExpectedError):
    """Bytes that are no image, or a damaged one."""

    field = "item.image"

    def __init__(self, detail: str) -> None:
        super().__init__(f"the image cannot be decoded: {detail}")


class FormatUnsupported(ExpectedError):
    """An image format that is known and not taken here."""

    field = "item.image"

    def __init__(self, media_type: str, supported: Iterable[str]) -> None:
        self.media_type = media_type
        self.supported = tuple(supported)
        super().__init__(f"{media_type} is not supported; supported are {', '.join(self.supported)}")

    @property
    def metadata(self) -> dict[str, str]:
        return {"media_type": self.media_type, "supported": ",".join(self.supported)}


class _OverLimit(ExpectedError):
    """Something larger than its limit."""

    field = "item.image"
    what = ""
    unit = ""

    def __init__(self, *, value: int, limit: int) -> None:
        self.value = value
        self.limit = limit
        super().__init__(f"{self.what} of {value} {self.unit} is over the limit of {limit} {self.unit}")

    @property
    def metadata(self) -> dict[str, str]:
        return {"value": str(self.value), "limit": str(self.limit), "unit": self.unit}


class ImageTooLargeBytes(_OverLimit):
    """More bytes than the limit."""

    what = "an image"
    unit = "bytes"


class ImageTooLargePixels(_OverLimit):
    """More pixels than the limit, by the file's own header."""

    what = "an image"
    unit = "pixels"


class ImageSideTooLong(_OverLimit):
    """A side of more pixels than the provider takes."""

    what = "a side"
    unit = "pixels"


class ImageShapeUnsupported(ExpectedError):
    """An image too small, or too long for its width, for the provider."""

    field = "item.image"

    def __init__(self, detail: str) -> None:
        super().__init__(f"the image has a shape that the provider does not take: {detail}")


class RegionOutOfImage(ExpectedError):
    """A region that has no area or lies outside the image."""

    field = "item.regions"

    def __init__(self, region: tuple[float, float, float, float], width: int, height: int) -> None:
        x, y, w, h = region
        super().__init__(
            f"the region x={x:g} y={y:g} width={w:g} height={h:g} does not lie inside the image of "
            f"{width} x {height} pixels"
        )


class FieldInvalid(ExpectedError):
    """A field of the configuration or the item that has no meaning here."""

    def __init__(self, field: str, description: str) -> None:
        self.field = field
        super().__init__(description)


class ContentRequired(ExpectedError):
    """Only a digest was sent and nothing is cached for it."""

    field = "item.image.content"
    frees_request_id = True

    def __init__(self) -> None:
        super().__init__("nothing is cached for this digest: send the content under the same request_id")


class ProviderUnknown(ExpectedError):
    """No provider or route of this name."""

    def __init__(self, name: str, known: Iterable[str], *, kind: str = "provider") -> None:
        self.field = f"recognition.{kind}"
        self.name = name
        super().__init__(f"no {kind} is named {name!r}; known are {', '.join(sorted(known)) or 'none'}")

    @property
    def metadata(self) -> dict[str, str]:
        return {"name": self.name}


class _OfProvider(ExpectedError):
    """An error of one provider."""

    def __init__(self, provider: str, message: str) -> None:
        self.provider = provider
        super().__init__(message)

    @property
    def metadata(self) -> dict[str, str]:
        return {"provider": self.provider}


class FeatureUnsupported(_OfProvider):
    """The provider does not read this feature; ``readers`` do."""

    def __init__(self, provider: str, feature: str, readers: Iterable[str] = ()) -> None:
        others = ", ".join(sorted(readers))
        known = f"; known to read it: {others}" if others else ""
        super().__init__(provider, f"the provider {provider!r} does not read the feature {feature!r}{known}")


class ProviderNotConfigured(_OfProvider):
    """The provider is not installed, has no credentials, or its credentials are rejected.

    ``for_all`` is False where that holds for what this item asks for and not for every call of the feature.
    """

    def __init__(self, provider: str, detail: str, *, for_all: bool = True) -> None:
        self.detail = detail
        self.for_all = for_all
        super().__init__(provider, f"the provider {provider!r} is not configured: {detail}")


class ProviderThrottled(_OfProvider):
    """The provider asks for fewer calls. ``said_s`` is how long it says to wait, seconds; None: it says nothing."""

    def __init__(self, provider: str, detail: str, *, retry_after_s: float | None = None) -> None:
        self.said_s = retry_after_s
        self.retry_after_s = retry_after_s or 1.0
        self.quota_subject = f"provider:{provider}"
        super().__init__(provider, f"the provider {provider!r} throttles its calls: {detail}")


class ProviderQuotaSpent(_OfProvider):
    """The provider's quota of a day, a month or an account is spent; it opens again in ``opens_in_s``, nearly.

    ``for_all`` as for ProviderNotConfigured.
    """

    def __init__(self, provider: str, detail: str, *, retry_after_s: float = 600.0, for_all: bool = True) -> None:
        self.for_all = for_all
        self.opens_in_s = retry_after_s
        self.retry_after_s = retry_after_s
        self.quota_subject = f"provider:{provider}"
        super().__init__(provider, f"the quota of the provider {provider!r} is spent: {detail}")


class ProviderBudgetSpent(_OfProvider):
    """What the configuration lets be spent on the provider in a day is spent; more in ``retry_after_s``, as a rule when
    the next day begins."""

    def __init__(self, provider: str, detail: str, *, retry_after_s: float) -> None:
        self.retry_after_s = retry_after_s
        self.quota_subject = f"provider:{provider}"
        super().__init__(provider, f"the budget for the provider {provider!r} is spent: {detail}")


class TenantBudgetSpent(ExpectedError):
    """What the configuration lets ``tenant`` spend in a day is spent. ``account`` names the budget: that of the tenant,
    or ``tenant:*``, which all tenants have that have none of their own. ``retry_after_s`` as for a provider's."""

    def __init__(self, tenant: str, account: str, detail: str, *, retry_after_s: float) -> None:
        self.tenant = tenant
        self.retry_after_s = retry_after_s
        self.quota_subject = account
        super().__init__(f"the budget of the tenant is spent: {detail}")

    @property
    def metadata(self) -> dict[str, str]:
        return {"tenant": self.tenant}


class ProviderUnavailable(_OfProvider):
    """The provider fails, for now, or is being rested.

    ``said_s`` is when another attempt is worth while, seconds, by the provider; 0: at once, as nothing is wrong with
    it; None: nobody knows. ``may_be_billed``: the image was sent and nobody knows what became of it.
    """

    def __init__(
        self, provider: str, detail: str, *, retry_after_s: float | None = None, may_be_billed: bool = False
    ) -> None:
        self.said_s = retry_after_s
        self.retry_after_s = retry_after_s or 1.0
        self.may_be_billed = may_be_billed
        super().__init__(provider, f"the provider {provider!r} is unavailable: {detail}")


class ProviderTimeout(_OfProvider):
    """The item's time ended while the provider was reading."""

    def __init__(self, provider: str, timeout_s: float) -> None:
        super().__init__(provider, f"the provider {provider!r} did not answer within the item's {timeout_s:g} s")


class DeadlineUnreachable(ExpectedError):
    """The item's time ended, or would have, before a provider was asked; nothing was spent."""

    def __init__(self, timeout_s: float, detail: str = "ended before its turn came") -> None:
        super().__init__(f"the item's {timeout_s:g} s {detail}; no provider was asked")
