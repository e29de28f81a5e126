"""Signature Version 4, by botocore's own signer. Imported late: botocore is large."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

SERVICE = "textract"
_SHA256 = "sha256"


class _BodyHashedBefore(SigV4Auth):  # type: ignore[misc] # botocore has no types
    """The signer, told the body's SHA-256, so that it is not computed twice."""

    def payload(self, request: AWSRequest) -> str:
        """The digest in hexadecimal."""
        digest: str = request.context[_SHA256]
        return digest


class Signer:
    """Signs for one account and region. Its repr shows no key."""

    def __init__(self, access_key_id: str, secret_access_key: str, session_token: str | None, region: str) -> None:
        self._auth = _BodyHashedBefore(Credentials(access_key_id, secret_access_key, session_token), SERVICE, region)

    def signed(self, url: str, headers: Mapping[str, str], sha256: str, now: float) -> dict[str, str]:
        """The headers of a POST with those that the signature adds. ``sha256`` is the body's, ``now`` seconds of the
        epoch. All of ``headers`` are signed, and the host of the URL."""
        request = AWSRequest("POST", url, headers=dict(headers))
        # The steps of ``add_auth``, which takes the time from the clock and logs what it signs.
        request.context.update(
            {"timestamp": datetime.fromtimestamp(now, UTC).strftime(SIGV4_TIMESTAMP), _SHA256: sha256}
        )
        self._auth._modify_request_before_signing(request)
        to_sign = self._auth.string_to_sign(request, self._auth.canonical_request(request))
        self._auth._inject_signature_to_request(request, self._auth.signature(to_sign, request))
        return dict(request.headers.items())
