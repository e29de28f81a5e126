"""What became of files that were normalised before, so that a page whose result is cached is not decoded again."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from dataclasses import dataclass, replace

from ocrmux.ocr.v1 import recognition_pb2
from preprocess_service.model import NormalizedPage, Reader
from preprocess_service.translation import facts_message

_BYTES_A_PART = 1_500
"""What the facts of a page of one part take in memory, about; each further tile adds less."""
_LARGE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class KnownPage:
    """A normalised page without its content: what its answers say of it, and the SHA-256 of each part's content."""

    page: NormalizedPage
    facts: recognition_pb2.PageAnswer
    digests: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class SourceKey:
    """A file and all that decides what its pages become."""

    digest: bytes
    preprocessing: str
    reader: Reader
    password_digest: bytes


def source_key(digest: bytes, preprocessing: str, reader: Reader, password: str) -> SourceKey:
    """The key; of a password only its hash is kept."""
    password_digest = hashlib.sha256(password.encode()).digest() if password else b""
    return SourceKey(digest, preprocessing, reader, password_digest)


async def content_digest(content: bytes) -> bytes:
    """The SHA-256 of a file or a page, 32 bytes; a large one's is made on a thread."""
    if len(content) < _LARGE_BYTES:
        return hashlib.sha256(content).digest()
    return (await asyncio.to_thread(hashlib.sha256, content)).digest()


async def without_content(page: NormalizedPage, source: bytes, digest_of_source: bytes) -> KnownPage:
    """The page's facts; a part that is the file itself has the file's digest."""
    digests = [
        digest_of_source if part.content is source else await content_digest(part.content) for part in page.parts
    ]
    parts = tuple(replace(part, content=b"") for part in page.parts)
    bare = replace(page, parts=parts, preprocess_ms=0.0)
    return KnownPage(bare, facts_message(bare), tuple(digests))


class KnownPages:
    """The most recently used files, at most ``max_bytes`` of facts about them. A file is known with all its pages."""

    def __init__(self, max_bytes: int) -> None:
        self._max_parts = max_bytes // _BYTES_A_PART
        self._files: OrderedDict[SourceKey, tuple[KnownPage, ...]] = OrderedDict()
        self.parts = 0

    def get(self, key: SourceKey) -> tuple[KnownPage, ...] | None:
        """The file's pages, in order, or None."""
        pages = self._files.get(key)
        if pages is not None:
            self._files.move_to_end(key)
        return pages

    def put(self, key: SourceKey, pages: tuple[KnownPage, ...]) -> None:
        """Takes note of a file; lets go of the least recently used ones for it. One over the bound is not kept."""
        self.forget(key)
        parts = _parts_of(pages)
        if not 0 < parts <= self._max_parts:
            return
        self._files[key] = pages
        self.parts += parts
        while self.parts > self._max_parts:
            self.forget(next(iter(self._files)))

    def forget(self, key: SourceKey) -> None:
        """Lets go of a file, if it is known."""
        self.parts -= _parts_of(self._files.pop(key, ()))


def _parts_of(pages: tuple[KnownPage, ...]) -> int:
    return sum(len(page.digests) for page in pages)
