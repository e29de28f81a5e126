"""The errors by which a lane turns items away, and those that it keeps to itself."""

from __future__ import annotations

from ocr_gateway.errors import ProviderNotConfigured, ProviderQuotaSpent, ProviderThrottled, ProviderUnavailable
from ocr_gateway.lanes.closure import ErrorOf
from rpc_runtime.expected_error import ExpectedError


class TurnedAway(Exception):
    """The lane does not take the item, for the reason given; no attempt has failed."""

    def __init__(self, error: ExpectedError) -> None:
        super().__init__(str(error))
        self.error = error


class TooLate(Exception):
    """The call's moment has passed; it was not made."""


def rested_error(provider: str, retry_s: float) -> ProviderUnavailable:
    """The provider's circuit is open."""
    return ProviderUnavailable(provider, f"it fails and is being rested for {retry_s:.1f} s", retry_after_s=retry_s)


def rejected_error(provider: str, detail: str) -> ErrorOf:
    """The provider rejects our credentials."""
    return lambda _: ProviderNotConfigured(provider, detail)


def spent_error(provider: str, detail: str) -> ErrorOf:
    """The provider's quota is spent."""
    return lambda opens_in_s: ProviderQuotaSpent(provider, detail, retry_after_s=max(1.0, opens_in_s))


def is_repeatable(error: ProviderThrottled | ProviderUnavailable) -> bool:
    """Whether nothing is wrong with the provider: another attempt is worth while at once."""
    return isinstance(error, ProviderUnavailable) and error.said_s == 0
