"""Verifying bce-auth-v1, as the vendor's pages describe it, from what arrives: decoded, then encoded again."""

from __future__ import annotations

import calendar
import hashlib
import hmac
import time
from urllib.parse import parse_qsl, quote, unquote

from tests.fakes.standin.settings import StandInSettings
from tests.fakes.standin.vendor import Denied, Head

REJECTED = "14"


def verify(head: Head, settings: StandInSettings, epoch_s: float) -> None:
    """Raises Denied for a signature that is not of the account's key, not of this request, or out of its time."""
    if "access_token" in head.query:
        raise Denied("100", "a token and a signature at once")
    parts = head.headers["authorization"].split("/")
    if len(parts) != 6 or parts[0] != "bce-auth-v1" or not parts[3].isdigit():
        raise Denied(REJECTED)
    _, key, moment, lifetime_s, names, signature = parts
    try:
        signed_at = calendar.timegm(time.strptime(moment, "%Y-%m-%dT%H:%M:%SZ"))
    except ValueError:
        raise Denied(REJECTED) from None
    if key != settings.api_key or not -300 <= epoch_s - signed_at <= int(lifetime_s):
        raise Denied(REJECTED)
    signed = names.split(";")
    if "host" not in signed or head.headers.get("x-bce-date", moment) != moment:
        raise Denied(REJECTED)
    query = sorted(
        f"{_again(name)}={_again(value)}"
        for name, value in parse_qsl(head.raw_query, keep_blank_values=True)
        if name.lower() != "authorization"
    )
    headers = sorted(f"{name}:{_again(head.headers.get(name, '').strip())}" for name in signed)
    canonical = [head.method, quote(unquote(head.path), safe="/-_.~"), "&".join(query), *headers]
    signing_key = _sign(settings.secret_key, "/".join(parts[:4]))
    if not hmac.compare_digest(_sign(signing_key, "\n".join(canonical)), signature):
        raise Denied(REJECTED)


def _again(text: str) -> str:
    return quote(text, safe="-_.~")


def _sign(key: str, text: str) -> str:
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()
