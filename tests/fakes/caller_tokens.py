"""Tokens of callers, files of their digests, and the metadata that shows them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

SHOP = "shop-token-0123456789abcdefghijklmnopqrstuvwxy"
BATCH = "batch-token-0123456789abcdefghijklmnopqrstuvw"
UNKNOWN = "stranger-token-0123456789abcdefghijklmnopqrst"


def digest_of(token: str) -> str:
    """As it stands in a file of tokens."""
    return hashlib.sha256(token.encode()).hexdigest()


def tokens_file(folder: Path, name: str = "tokens.yaml", **tokens: str) -> Path:
    """A file with these tokens by the names of their keys."""
    path = folder / name
    path.write_text(json.dumps({"keys": [{"name": key, "sha256": digest_of(tokens[key])} for key in tokens]}))
    return path


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    """The metadata of a call with this token."""
    return (("authorization", f"Bearer {token}"),)
