"""What is kept for a key, and its bytes in the second level."""

from __future__ import annotations

import json
from dataclasses import dataclass

_FORMAT = 2


class EntryDamaged(Exception):
    """Bytes that are no entry of this version; they are treated as if they were not there."""


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """A result: the encoded document, who read it, its own answer where that was wanted, and how sure it was, 0..1."""

    document: bytes
    provider: str
    model: str
    raw_response: bytes = b""
    confidence: float | None = None

    @property
    def size(self) -> int:
        """Bytes that it takes in memory, nearly."""
        return len(self.document) + len(self.raw_response) + 256

    def to_bytes(self) -> bytes:
        """A header line of JSON, the document, the raw answer."""
        header = {
            "format": _FORMAT,
            "provider": self.provider,
            "model": self.model,
            "document_bytes": len(self.document),
            "raw_bytes": len(self.raw_response),
            "confidence": self.confidence,
        }
        return b"%b\n%b%b" % (json.dumps(header).encode(), self.document, self.raw_response)

    @classmethod
    def from_bytes(cls, data: bytes) -> CacheEntry:
        """The entry. Raises EntryDamaged for anything but what ``to_bytes`` made in this version."""
        try:
            line, rest = data.split(b"\n", 1)
            header = json.loads(line)
            length, raw_length = int(header["document_bytes"]), int(header["raw_bytes"])
            if header["format"] != _FORMAT or len(rest) != length + raw_length:
                raise EntryDamaged
            confidence = header["confidence"]
            return cls(
                document=rest[:length],
                provider=str(header["provider"]),
                model=str(header["model"]),
                raw_response=rest[length:],
                confidence=None if confidence is None else float(confidence),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise EntryDamaged from error
