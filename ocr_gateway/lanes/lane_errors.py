"""The errors by which a lane turns items away, and those that it keeps to itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from ocr_gateway.errors import (
    ProviderBudgetSpent,
    ProviderNotConfigured,
    ProviderQuotaSpent,
    ProviderThrottled,
    ProviderUnavailable,
    TenantBudgetSpent,
)
from ocr_gateway.lanes.closure import ErrorOf
from rpc_runtime.expected_error import ExpectedError

ErrorT = TypeVar("ErrorT", bound=BaseException)

LATE = "late"
_SOUNDEST_FIRST = (
    *("ok", "refused", "throttled", "repeatable", "quota_spent", "rejected", "failed"),
    *(LATE, "abandoned"),
)
"""How a call may end, by what it says for the provider."""


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


def outcome_of(error: BaseException | None) -> str:
    """What the end of a call is called in the metrics and means to the circuit; None: it has a result."""
    match error:
        case None:
            return "ok"
        case TooLate() | ProviderBudgetSpent() | TenantBudgetSpent():  # no call was made
            return LATE
        case ProviderThrottled():
            return "throttled"
        case ProviderUnavailable():
            return "repeatable" if is_repeatable(error) else "failed"
        case ProviderNotConfigured():
            return "rejected"
        case ProviderQuotaSpent():
            return "quota_spent"
        case ExpectedError():
            return "refused"
        case Exception():
            return "failed"
        case _:
            return "abandoned"


def soundest(outcomes: Iterable[str]) -> str:
    """The end of a call for several images: what is wrong with some of them is not the provider's fault."""
    return min(outcomes, key=_SOUNDEST_FIRST.index)


def copy_of(error: ErrorT) -> ErrorT:
    """The same error for another item: one that is raised in several places grows its traceback in each.

    Where it was raised is kept of a bug; of an expected error that would only hold on to the images.
    """
    copy = type(error).__new__(type(error), *error.args)
    copy.__dict__.update(error.__dict__)
    if isinstance(error, ExpectedError):
        return copy
    copy.__cause__ = error.__cause__
    return copy.with_traceback(error.__traceback__)
