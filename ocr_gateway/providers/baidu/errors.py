"""What Baidu's error codes mean. They come with HTTP 200, in ``error_code``.

Source: the vendor's list of error codes for OCR; those marked "not confirmed" are from memory.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from ocr_gateway.errors import (
    FieldInvalid,
    ImageShapeUnsupported,
    ImageUndecodable,
    ProviderQuotaSpent,
    ProviderThrottled,
    ProviderUnavailable,
)
from ocr_gateway.model import ProviderCall
from ocr_gateway.providers.baidu.endpoints import OPTIONS_FIELD
from rpc_runtime.expected_error import ExpectedError

_CHINA_UTC_OFFSET_S = 8 * 3600
_DAY_S = 86_400
_LONGEST_QUOTA_REST_S = 3600.0


class Meaning(enum.Enum):
    """What to do about a code."""

    THROTTLED = "throttled"
    TRANSIENT = "transient"
    DAY_SPENT = "day spent"
    QUOTA_SPENT = "quota spent"
    TOKEN = "token"  # noqa: S105 - the token is refused, none stands here
    CREDENTIALS = "credentials"
    ENDPOINT_CLOSED = "endpoint closed"
    OPTION = "option"
    UNDECODABLE = "undecodable"
    SHAPE = "shape"
    NOTHING_HERE = "nothing here"


_CODES: Mapping[Meaning, tuple[int, ...]] = {
    Meaning.THROTTLED: (4, 18),
    # 282110 to 282114 concern addresses of images, which are never sent; 282808 to 282810 the request's id.
    Meaning.TRANSIENT: (1, 2, 216630, 216634, 282000, 282808, 282809, 282810),
    Meaning.DAY_SPENT: (17,),
    Meaning.QUOTA_SPENT: (19,),
    Meaning.TOKEN: (100, 110, 111),
    Meaning.CREDENTIALS: (14,),
    Meaning.ENDPOINT_CLOSED: (3, 6, 216102, 216110),
    Meaning.OPTION: (216100, 216101, 216103, 282003),  # the last one not confirmed
    Meaning.UNDECODABLE: (216200, 216201),
    Meaning.SHAPE: (216202, 216205),  # the last one not confirmed
    # No card on the image; 282102 and 282103 (no target found) not confirmed.
    Meaning.NOTHING_HERE: (216631, 216633, 282102, 282103),
}
_MEANINGS = {code: meaning for meaning, codes in _CODES.items() for code in codes}


def meaning_of(code: int) -> Meaning:
    """What a code means. An unknown one is TRANSIENT: its retries are bounded and the route has other providers, so a
    new code for an outage loses no image; as a permanent error it would lose all of them.
    """
    return _MEANINGS.get(code, Meaning.TRANSIENT)


def error_of(
    meaning: Meaning, detail: str, call: ProviderCall, *, provider: str, epoch_s: float, retry_after_s: float | None
) -> ExpectedError:
    """The error for a code that concerns this call alone, or calls for now.

    ``epoch_s`` is the time of the day; ``retry_after_s`` is what the answer's header says, if anything.
    """
    match meaning:
        case Meaning.THROTTLED:
            return ProviderThrottled(provider, detail, retry_after_s=retry_after_s)
        case Meaning.DAY_SPENT:
            return ProviderQuotaSpent(provider, detail, retry_after_s=_rest_of_day_s(epoch_s))
        case Meaning.QUOTA_SPENT:
            return ProviderQuotaSpent(provider, detail, retry_after_s=_LONGEST_QUOTA_REST_S)
        case Meaning.OPTION:
            return FieldInvalid(OPTIONS_FIELD, f"Baidu refuses a parameter: {detail}")
        case Meaning.UNDECODABLE:
            return ImageUndecodable(f"Baidu says: {detail}")
        case Meaning.SHAPE:
            return ImageShapeUnsupported(
                f"{call.width} x {call.height} px, {len(call.image)} bytes; Baidu says: {detail}"
            )
        case _:
            return ProviderUnavailable(provider, detail, retry_after_s=retry_after_s)


def _rest_of_day_s(epoch_s: float) -> float:
    """Until midnight in China, where quotas of a day begin anew; at most an hour, for they can also be raised."""
    return min(_DAY_S - (epoch_s + _CHINA_UTC_OFFSET_S) % _DAY_S, _LONGEST_QUOTA_REST_S)
