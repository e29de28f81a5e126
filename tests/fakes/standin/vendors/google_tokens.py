"""JSON web tokens as Google's servers read them (RFC 7515, 7519): RS256, verified by the account's public key."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

SERVICE_AUDIENCE = "https://vision.googleapis.com/"
TOKEN_AUDIENCE = "https://oauth2.googleapis.com/token"
_SKEW_S = 300
_LONGEST_S = 3600
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


def claims_of(token: str, public_pem: str, audience: str, epoch_s: float) -> dict[str, Any]:
    """A token's claims. Raises ValueError for one not signed by the key, not for ``audience``, or not of now."""
    if not _COMPACT.fullmatch(token):
        raise ValueError("Invalid JWT")
    signed, _, signature = token.rpartition(".")
    header, claims = (_object(part) for part in signed.split("."))
    if header.get("alg") != "RS256" or header.get("typ") != "JWT":
        raise ValueError("Invalid JWT: unsupported algorithm")
    key = load_pem_public_key(public_pem.encode())
    assert isinstance(key, RSAPublicKey)
    try:
        key.verify(_decoded(signature), signed.encode(), PKCS1v15(), SHA256())
    except InvalidSignature:
        raise ValueError("Invalid JWT Signature.") from None
    if claims.get("aud") != audience:
        raise ValueError("Invalid JWT: wrong audience")
    issued, ends = claims.get("iat"), claims.get("exp")
    if not isinstance(issued, int) or not isinstance(ends, int) or ends - issued > _LONGEST_S:
        raise ValueError("Invalid JWT: Token must be a short-lived token and in a reasonable timeframe.")
    if not issued - _SKEW_S <= epoch_s < ends:
        raise ValueError("Invalid JWT: Token must be a short-lived token and in a reasonable timeframe.")
    return claims


def _object(part: str) -> dict[str, Any]:
    said = json.loads(_decoded(part))
    if not isinstance(said, dict):
        raise ValueError("Invalid JWT")
    return said


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
