"""What Azure's error codes mean. Both services tell an outer code and, mostly, an inner one that says more.

Source: the vendor's pages on errors of Document Intelligence 4.0 and of Image Analysis 4.0, and its SDKs' models.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ocr_gateway.providers.http import HttpAnswer
from ocr_gateway.providers.remote.dialect import status_refusal
from ocr_gateway.providers.remote.meanings import ErrorTable, Meaning, Refusal

_MAX_DEPTH = 5
_MAX_ERROR_WORDS = 200

ERRORS = ErrorTable(
    {
        Meaning.THROTTLED: ("429", "TooManyRequests", "RateLimitExceeded"),
        Meaning.TRANSIENT: (
            "InternalServerError", "InternalError", "ServiceUnavailable", "ServerBusy", "Timeout", "TimeoutOrCancelled",
            "OperationTimeout", "NotReady", "GatewayTimeout", "BadGateway", "RequestTimeout", "408",
        ),
        Meaning.QUOTA_SPENT: ("QuotaExceeded", "OutOfCallVolumeQuota", "403.OutOfQuota"),
        Meaning.CREDENTIALS: (
            "401", "Unauthorized", "AuthenticationFailed", "AccessDenied", "InvalidSubscriptionKey", "PermissionDenied",
        ),
        Meaning.NOT_OPEN: (
            "Forbidden", "NotFound", "ModelNotFound", "ResourceNotFound", "FeatureNotSupported", "404",
            "AuthorizationFailed",
        ),
        Meaning.UNDECODABLE: (
            "InvalidContent", "InvalidImageFormat", "InvalidImageUrl", "ContentSourceNotAccessible",
            "UnsupportedMediaType", "NotSupportedImage", "InvalidImage",
        ),
        Meaning.FORMAT: ("UnsupportedContent", "NotSupportedFormat"),
        Meaning.TOO_LARGE: ("InvalidContentLength", "RequestEntityTooLarge", "413"),
        Meaning.SHAPE: ("InvalidContentDimensions", "InvalidImageSize", "ImageTooSmall", "ImageTooLarge"),
        Meaning.OPTION: (
            "InvalidArgument", "InvalidParameter", "InvalidLocale", "NotSupportedLanguage", "NotSupportedFeature",
            "ParameterMissing", "InvalidParameterLength",
        ),
        Meaning.BUG: ("BadArgument", "MethodNotAllowed", "InvalidContentType", "UnsupportedApiVersion"),
    },
    statuses={400: Meaning.UNDECODABLE, 403: Meaning.NOT_OPEN},
)  # fmt: skip
"""``InvalidRequest`` alone, without an inner code, is told by its status."""


def refusal_of(answer: HttpAnswer, said: Mapping[str, Any] | None) -> Refusal | None:
    """What ``error`` says: the innermost code that the table knows, else the outer one. None for a good answer."""
    error = said.get("error") if said is not None else None
    if not isinstance(error, dict):
        return status_refusal(answer)
    codes: list[str] = []
    inner: Any = error
    while isinstance(inner, dict) and len(codes) < _MAX_DEPTH:
        if isinstance(code := inner.get("code"), str):
            codes.append(code)
        inner = inner.get("innererror", inner.get("innerError"))
    known = [code for code in codes if ERRORS.knows(code)]
    code = (known or codes or [""])[-1]
    words = str(error.get("message", ""))[:_MAX_ERROR_WORDS]
    return Refusal(code, words, status=answer.status, retry_after_s=answer.retry_after_s)
