"""SDK-HMAC-SHA256, by which requests to Huawei Cloud's API gateway are signed with AK and SK
(support.huaweicloud.com/devg-apisign)."""

from __future__ import annotations

import datetime
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import quote, unquote

ALGORITHM = "SDK-HMAC-SHA256"


def sdk_date(now: float) -> str:
    """X-Sdk-Date: 20260101T000000Z."""
    return datetime.datetime.fromtimestamp(int(now), datetime.UTC).strftime("%Y%m%dT%H%M%SZ")


def authorization(
    access_key: str, secret_key: str, *, path: str, headers: Mapping[str, str], body_sha256: str, method: str = "POST"
) -> str:
    """The Authorization header of a request without a query. ``path`` has no slash at its end, and is signed with one.

    All of ``headers`` are signed, X-Sdk-Date and Host among them.
    """
    values = {name.lower(): value.strip() for name, value in headers.items()}
    names = sorted(values)
    signed = ";".join(names)
    lines = "".join(f"{name}:{values[name]}\n" for name in names)
    uri = quote(unquote(path), safe="/~") + "/"
    request = f"{method}\n{uri}\n\n{lines}\n{signed}\n{body_sha256}"
    to_sign = f"{ALGORITHM}\n{values['x-sdk-date']}\n{hashlib.sha256(request.encode()).hexdigest()}"
    signature = hmac.digest(secret_key.encode(), to_sign.encode(), "sha256").hex()
    return f"{ALGORITHM} Access={access_key}, SignedHeaders={signed}, Signature={signature}"
