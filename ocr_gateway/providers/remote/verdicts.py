"""What follows from what a service says against a call: the error for its caller, and rests of actions and keys."""

from __future__ import annotations

from collections.abc import Callable

from ocr_gateway.errors import (
    FieldInvalid,
    FormatUnsupported,
    ImageShapeUnsupported,
    ImageTooLargeBytes,
    ImageUndecodable,
    ProviderNotConfigured,
    ProviderQuotaSpent,
    ProviderThrottled,
    ProviderUnavailable,
)
from ocr_gateway.model import ProviderCall
from ocr_gateway.providers.remote.access import Access
from ocr_gateway.providers.remote.dialect import OPTIONS_FIELD, Dialect
from ocr_gateway.providers.remote.meanings import Meaning, Refusal
from ocr_gateway.providers.remote.secrecy import Kept
from rpc_runtime.expected_error import ExpectedError

_MAX_WORDS = 200
_DAY_S = 86_400
_LONGEST_QUOTA_REST_S = 3600.0


class AdapterBug(RuntimeError):
    """The service says that the request makes no sense: a mistake of this adapter, not of the caller."""


class Verdicts:
    """Of one provider. An action that is not open to the keys is tried again after ``rest_s``. ``clock`` counts
    monotonic seconds, ``wall_clock`` seconds of the epoch, on which the service's day ends ``day_offset_s`` before that
    of UTC."""

    def __init__(
        self,
        dialect: Dialect,
        access: Access,
        kept: Kept,
        *,
        rest_s: float,
        day_offset_s: int,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        self._dialect = dialect
        self._name = dialect.description.name
        self._access = access
        self._kept = kept
        self._rest_s = rest_s
        self._day_offset_s = day_offset_s
        self._clock = clock
        self._wall_clock = wall_clock
        self._shut: dict[str, tuple[float, Callable[[float], ExpectedError]]] = {}

    def check_open(self, action: str) -> None:
        """Raises while it is known that calls of the action are in vain."""
        if action in self._shut:
            until, error_of_rest = self._shut[action]
            rest_s = until - self._clock()
            if rest_s > 0:
                raise error_of_rest(rest_s)

    def meaning(self, refusal: Refusal) -> Meaning:
        """By the vendor's table."""
        return self._dialect.errors.meaning(refusal.code, refusal.status)

    def malformed(self, error: object, access: str, *, may_be_billed: bool = True) -> ProviderUnavailable:
        """The error for an answer that makes no sense. ``access`` is the token, which is kept out of it too."""
        words = self._kept.out_of(f"malformed answer: {error}"[:_MAX_WORDS], access)
        return ProviderUnavailable(self._name, words, may_be_billed=may_be_billed)

    def error(self, refusal: Refusal, call: ProviderCall, access: str) -> Exception:
        """The error for what the service says, with what follows from it for the provider done."""
        detail, action = self._kept.out_of(str(refusal), access), self._dialect.action(call)
        match self.meaning(refusal):
            case Meaning.TOKEN:
                return self._token_refused(access, detail)
            case Meaning.CREDENTIALS:
                self._access.rejected(f"its keys are rejected: {detail}")
                return ProviderNotConfigured(self._name, self._access.rejection or detail)
            case Meaning.NOT_OPEN:
                words = f"{action!r} is not open to its keys: {detail}"
                for_all = self._dialect.is_for_all(call)
                return self._shut_for(
                    action, self._rest_s, lambda _: ProviderNotConfigured(self._name, words, for_all=for_all)
                )
            case Meaning.DAY_SPENT | Meaning.QUOTA_SPENT as meaning:
                rest_s = self._rest_of_day_s() if meaning is Meaning.DAY_SPENT else _LONGEST_QUOTA_REST_S
                return self._spent(action, rest_s, detail, for_all=self._dialect.is_for_all(call))
            case Meaning.THROTTLED:
                return ProviderThrottled(self._name, detail, retry_after_s=refusal.retry_after_s or None)
            case meaning:
                return self._call_error(meaning, refusal, call, detail)

    def _call_error(self, meaning: Meaning, refusal: Refusal, call: ProviderCall, detail: str) -> Exception:
        """The error for what concerns this call alone."""
        extent = f"{call.width} x {call.height} px, {len(call.image)} bytes"
        match meaning:
            case Meaning.UNDECODABLE:
                return ImageUndecodable(f"{self._name} says: {detail}")
            case Meaning.FORMAT:
                return FormatUnsupported(call.media_type, self._dialect.limits(call).media_types)
            case Meaning.TOO_LARGE if 0 < self._dialect.limits(call).max_bytes < len(call.image):
                return ImageTooLargeBytes(value=len(call.image), limit=self._dialect.limits(call).max_bytes)
            case Meaning.TOO_LARGE | Meaning.SHAPE:
                return ImageShapeUnsupported(f"{extent}; {self._name} says: {detail}")
            case Meaning.OPTION:
                return FieldInvalid(OPTIONS_FIELD, f"{self._name} refuses a parameter: {detail}")
            case Meaning.BUG:
                return AdapterBug(f"{self._name}: {detail}")
            case _:
                return ProviderUnavailable(self._name, detail, retry_after_s=refusal.retry_after_s or None)

    def _token_refused(self, token: str, detail: str) -> Exception:
        self._access.refused(token, detail)
        if self._access.rejection:
            return ProviderNotConfigured(self._name, self._access.rejection)
        return ProviderUnavailable(
            self._name, f"its token is refused, a new one is fetched: {detail}", retry_after_s=0.0
        )

    def _spent(self, action: str, rest_s: float, detail: str, *, for_all: bool) -> Exception:
        if for_all:  # the lane closes for everybody
            return ProviderQuotaSpent(self._name, detail, retry_after_s=rest_s)
        return self._shut_for(
            action, rest_s, lambda rest_s: ProviderQuotaSpent(self._name, detail, retry_after_s=rest_s, for_all=False)
        )

    def _shut_for(self, action: str, rest_s: float, error_of_rest: Callable[[float], ExpectedError]) -> ExpectedError:
        self._shut[action] = (self._clock() + rest_s, error_of_rest)
        return error_of_rest(rest_s)

    def _rest_of_day_s(self) -> float:
        """Until the service's midnight, where quotas of a day begin anew; at most an hour, for they can be raised."""
        return min(_DAY_S - (self._wall_clock() + self._day_offset_s) % _DAY_S, _LONGEST_QUOTA_REST_S)
