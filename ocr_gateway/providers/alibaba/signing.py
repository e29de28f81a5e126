"""ACS3-HMAC-SHA256, by which Alibaba Cloud's requests are signed
(help.aliyun.com/zh/sdk/product-overview/v3-request-structure-and-signature)."""

from __future__ import annotations

import datetime
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import quote

ALGORITHM = "ACS3-HMAC-SHA256"


def acs_date(now: float) -> str:
    """x-acs-date: 2026-01-01T00:00:00Z."""
    return datetime.datetime.fromtimestamp(int(now), datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def encoded_query(query: Mapping[str, str]) -> str:
    """The query by RFC 3986, sorted by name, as it is signed and sent."""
    return "&".join(f"{_encoded(name)}={_encoded(value)}" for name, value in sorted(query.items()))


def authorization(
    access_key_id: str, access_key_secret: str, *, headers: Mapping[str, str], query: str, method: str = "POST"
) -> str:
    """The Authorization header of a request to ``/`` with this encoded ``query``.

    All of ``headers`` are signed, as all of x-acs-*, Host and Content-Type must be; x-acs-content-sha256 among them
    stands for the body.
    """
    values = {name.lower(): value.strip() for name, value in headers.items()}
    names = sorted(values)
    signed = ";".join(names)
    lines = "".join(f"{name}:{values[name]}\n" for name in names)
    request = f"{method}\n/\n{query}\n{lines}\n{signed}\n{values['x-acs-content-sha256']}"
    to_sign = f"{ALGORITHM}\n{hashlib.sha256(request.encode()).hexdigest()}"
    signature = hmac.digest(access_key_secret.encode(), to_sign.encode(), "sha256").hex()
    return f"{ALGORITHM} Credential={access_key_id},SignedHeaders={signed},Signature={signature}"


def _encoded(text: str) -> str:
    return quote(text, safe="-_.~")
