"""Signature Version 4, as the server verifies it.

Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote, unquote

from tests.fakes.standin.vendor import Denied, Head

_MAX_SKEW_S = 300
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/,]+)/([0-9]{8})/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request, ?"
    r"SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})"
)


def verify(head: Head, body: bytes, secrets: Mapping[str, str], epoch_s: float) -> str:
    """The region for which a request is signed. ``secrets`` has the secret of each key's id. Raises Denied."""
    authorization = head.headers.get("authorization")
    if authorization is None:
        raise Denied("MissingAuthenticationTokenException", "Missing Authentication Token")
    match = _AUTHORIZATION.fullmatch(authorization)
    if match is None:
        raise Denied("IncompleteSignatureException", "Authorization")
    key_id, day, region, service, names, signature = match.groups()
    if key_id not in secrets:
        raise Denied("UnrecognizedClientException", "The security token included in the request is invalid.")
    signed = names.split(";")
    must = {"host", *(name for name in head.headers if name == "content-type" or name.startswith("x-amz-"))}
    if signed != sorted(signed) or not must <= set(signed) or service != "textract":
        raise Denied("InvalidSignatureException", "what must be signed is not")
    stamp = head.headers.get("x-amz-date", "")
    _check_time(stamp, day, epoch_s)
    scope = f"{day}/{region}/{service}/aws4_request"
    text = "\n".join(("AWS4-HMAC-SHA256", stamp, scope, _sha256(canonical_request(head, signed, body).encode())))
    key = f"AWS4{secrets[key_id]}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    if not hmac.compare_digest(hmac.digest(key, text.encode(), "sha256").hex(), signature):
        raise Denied("InvalidSignatureException", "The request signature we calculated does not match")
    return region


def canonical_request(head: Head, signed: list[str], body: bytes) -> str:
    """What is signed, of the request as it arrived."""
    pairs = sorted(part.partition("=")[::2] for part in head.raw_query.split("&") if part)
    headers = "".join(f"{name}:{' '.join(head.headers.get(name, '').split())}\n" for name in signed)
    return "\n".join(
        (
            head.method,
            quote(unquote(head.path), safe="/~"),
            "&".join(f"{name}={value}" for name, value in pairs),
            headers,
            ";".join(signed),
            _sha256(body),
        )
    )


def _check_time(stamp: str, day: str, epoch_s: float) -> None:
    try:
        then = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise Denied("IncompleteSignatureException", "X-Amz-Date") from None
    if not stamp.startswith(day) or abs(then - epoch_s) > _MAX_SKEW_S:
        raise Denied("InvalidSignatureException", f"Signature expired: {stamp}")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
