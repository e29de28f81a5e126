"""What Textract's errors mean: those of its service model, and those that all of AWS has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ocr_gateway.providers.http import HttpAnswer
from ocr_gateway.providers.remote.dialect import status_refusal
from ocr_gateway.providers.remote.meanings import ErrorTable, Meaning, Refusal

_TYPE_HEADER = "x-amzn-ErrorType"

ERRORS = ErrorTable(
    {
        Meaning.THROTTLED: (
            "ProvisionedThroughputExceededException", "ThrottlingException", "Throttling", "ThrottledException",
            "RequestThrottledException", "RequestThrottled", "TooManyRequestsException", "RequestLimitExceeded",
            "LimitExceededException", "SlowDown",
        ),
        Meaning.TRANSIENT: (
            "InternalServerError", "InternalFailure", "InternalServerException", "ServiceUnavailable",
            "ServiceUnavailableException", "RequestTimeout", "RequestTimeoutException", "RequestAbortedException",
        ),
        Meaning.QUOTA_SPENT: ("ServiceQuotaExceededException", "HumanLoopQuotaExceededException"),
        # RequestExpired and "Signature expired": the clock of this machine is off.
        Meaning.CREDENTIALS: (
            "InvalidSignatureException", "SignatureDoesNotMatch", "UnrecognizedClientException", "InvalidClientTokenId",
            "MissingAuthenticationToken", "MissingAuthenticationTokenException", "IncompleteSignature",
            "IncompleteSignatureException", "ExpiredToken", "ExpiredTokenException", "RequestExpired",
            "RequestExpiredException", "AuthFailure", "NotAuthorized", "OptInRequired", "SubscriptionRequiredException",
        ),
        # A policy grants operations one by one.
        Meaning.NOT_OPEN: ("AccessDeniedException", "AccessDenied", "UnknownOperationException", "InvalidAction"),
        Meaning.UNDECODABLE: ("BadDocumentException",),
        Meaning.FORMAT: ("UnsupportedDocumentException",),
        Meaning.TOO_LARGE: ("DocumentTooLargeException", "RequestEntityTooLargeException"),
        # No parameter is the caller's: whatever is wrong with one is ours.
        Meaning.BUG: (
            "InvalidParameterException", "ValidationException", "ValidationError", "SerializationException",
            "InvalidS3ObjectException", "InvalidKMSKeyException", "InvalidJobIdException", "ConflictException",
            "IdempotentParameterMismatchException", "ResourceNotFoundException", "MalformedHttpRequestException",
        ),
    }
)  # fmt: skip
"""By the name in ``__type``."""


def refusal_of(answer: HttpAnswer, said: Mapping[str, Any] | None) -> Refusal | None:
    """The error that an answer tells: ``__type``, which may have a namespace before it, and ``message``."""
    plain = status_refusal(answer)
    if plain is None:
        return None
    said = said or {}
    code = said.get("__type") or answer.headers.get(_TYPE_HEADER) or ""
    words = said.get("message", said.get("Message"))
    return Refusal(
        code.partition(":")[0].rpartition("#")[2] if isinstance(code, str) else "",
        words if isinstance(words, str) else "",
        status=answer.status,
        retry_after_s=answer.retry_after_s,
    )
