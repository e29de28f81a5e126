"""Signing with an access key, the other way into Baidu's cloud: bce-auth-v1.

Source: cloud.baidu.com/doc/Reference, "authentication mechanism". Signed are method, path, query and the headers host
and x-bce-date, as the vendor's own SDK does; the body is not.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.parse import quote

_SIGNED_HEADERS = "host;x-bce-date"
LIFETIME_S = 1800
"""For how long a signature is good: what the SDK asks for."""


def signed_headers(
    method: str,
    host: str,
    path: str,
    query: Iterable[tuple[str, str]] = (),
    *,
    access_key: str,
    secret_key: str,
    now: float,
) -> dict[str, str]:
    """The headers host, x-bce-date and authorization. ``host`` has the port where that is not the scheme's; ``path``
    and ``query`` are not encoded; ``now`` counts seconds of the epoch."""
    moment = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    pairs = sorted(f"{_encoded(name)}={_encoded(value)}" for name, value in query if name.lower() != "authorization")
    canonical = "\n".join(
        (method, quote(path, safe="/-_.~"), "&".join(pairs), f"host:{_encoded(host)}", f"x-bce-date:{_encoded(moment)}")
    )
    prefix = f"bce-auth-v1/{access_key}/{moment}/{LIFETIME_S}"
    signature = _digest(_digest(secret_key, prefix), canonical)
    return {"Host": host, "x-bce-date": moment, "authorization": f"{prefix}/{_SIGNED_HEADERS}/{signature}"}


def _encoded(text: str) -> str:
    return quote(text, safe="-_.~")


def _digest(key: str, text: str) -> str:
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()
