"""What Google's errors mean: the reasons that Google's front doors give, the statuses of gRPC, and their numbers."""

from __future__ import annotations

from typing import Any

from ocr_gateway.providers.http import HttpAnswer
from ocr_gateway.providers.remote.dialect import status_refusal
from ocr_gateway.providers.remote.meanings import ErrorTable, Meaning, Refusal

_MAX_DETAILS = 32
_MAX_RETRY_S = 3600.0

ERRORS = ErrorTable(
    {
        # google.api.ErrorReason, before the statuses, which say less.
        Meaning.CREDENTIALS: (
            "API_KEY_INVALID", "API_KEY_SERVICE_BLOCKED", "API_KEY_HTTP_REFERRER_BLOCKED", "API_KEY_IP_ADDRESS_BLOCKED",
            "API_KEY_ANDROID_APP_BLOCKED", "API_KEY_IOS_APP_BLOCKED", "BILLING_DISABLED", "SERVICE_DISABLED",
            "SERVICE_NOT_VISIBLE", "CONSUMER_INVALID", "CONSUMER_SUSPENDED", "GCP_SUSPENDED", "USER_PROJECT_DENIED",
            "RESOURCE_PROJECT_INVALID", "ACCOUNT_STATE_INVALID", "ACCOUNT_TYPE_UNSUPPORTED", "CREDENTIALS_MISSING",
            "CREDENTIAL_TYPE_UNSUPPORTED", "OVERLOADED_CREDENTIALS", "IAM_PERMISSION_DENIED", "USER_BLOCKED_BY_ADMIN",
            "ACCESS_TOKEN_SCOPE_INSUFFICIENT", "ACCESS_TOKEN_TYPE_UNSUPPORTED", "SECURITY_POLICY_VIOLATED",
            "LOCATION_POLICY_VIOLATED", "LOCATION_ORG_POLICY_VIOLATED", "TLS_ORG_POLICY_VIOLATED",
            "ORG_RESTRICTION_VIOLATION", "ENDPOINT_USAGE_RESTRICTION_VIOLATED", "RESOURCE_USAGE_RESTRICTION_VIOLATED",
            "PERMISSION_DENIED",
        ),
        Meaning.TOKEN: ("ACCESS_TOKEN_EXPIRED", "JWT_TOKEN_INVALID", "UNAUTHENTICATED"),
        Meaning.THROTTLED: ("RATE_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED", "8"),
        Meaning.QUOTA_SPENT: ("RESOURCE_QUOTA_EXCEEDED",),
        Meaning.NOT_OPEN: ("NOT_FOUND", "UNIMPLEMENTED", "FAILED_PRECONDITION"),
        Meaning.TRANSIENT: (
            "CANCELLED", "UNKNOWN", "DEADLINE_EXCEEDED", "ALREADY_EXISTS", "ABORTED", "INTERNAL", "UNAVAILABLE",
            "DATA_LOSS",
            # Of one image among others: what would concern the account is told for the whole call.
            "1", "2", "4", "5", "6", "7", "9", "10", "12", "13", "14", "15", "16",
        ),
        Meaning.UNDECODABLE: ("3", "11"),  # "Bad image data."
        Meaning.OPTION: ("INVALID_ARGUMENT", "OUT_OF_RANGE"),
    }
)  # fmt: skip
"""Reasons and statuses are of a whole call, numbers (google.rpc.Code) of one image inside an answer with HTTP 200."""


def refusal_of(answer: HttpAnswer, said: Any) -> Refusal | None:
    """The error of a whole call: by its reason where the table has it, else by its status, else by HTTP's."""
    plain = status_refusal(answer)
    error = said.get("error") if isinstance(said, dict) else None
    if plain is None or not isinstance(error, dict):
        return plain
    details = error.get("details")
    details = [each for each in details[:_MAX_DETAILS] if isinstance(each, dict)] if isinstance(details, list) else []
    reasons = [reason for each in details if isinstance(reason := each.get("reason"), str)]
    known = [reason for reason in reasons if _stands_in_table(reason)]
    status = error.get("status")
    return Refusal(
        known[0] if known else status if isinstance(status, str) else "",
        _words(error.get("message")),
        status=answer.status,
        retry_after_s=_retry_after_s(details) if answer.retry_after_s is None else answer.retry_after_s,
    )


def image_refusal(error: Any) -> Refusal | None:
    """The error of one image, None for none. Raises ValueError when it is no ``google.rpc.Status``."""
    if error is None:
        return None
    if not isinstance(error, dict):
        raise ValueError("error is no object")
    code = error.get("code", 0)
    if not isinstance(code, int) or isinstance(code, bool):
        raise ValueError("the error's code is no number")
    # Zero is left out: a status without a code is OK (google.rpc.Code).
    return Refusal(str(code), _words(error.get("message"))) if code else None


def _stands_in_table(reason: str) -> bool:
    return any(reason in codes for codes in ERRORS.codes.values())


def _words(message: Any) -> str:
    return message if isinstance(message, str) else ""


def _retry_after_s(details: list[dict[str, Any]]) -> float | None:
    """Of a ``google.rpc.RetryInfo``: a duration as JSON has it, ``"1.5s"``."""
    for each in details:
        delay = each.get("retryDelay")
        if isinstance(delay, str) and delay.endswith("s"):
            digits = delay[:-1]
            if len(digits) < 16 and digits.isascii() and digits.replace(".", "", 1).isdigit():
                return min(float(digits), _MAX_RETRY_S)
    return None
