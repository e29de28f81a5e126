"""What became of files that were normalised before, so that a page whose result is cached is not decoded again."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, replace

from ocrmux.ocr.v1 import recognition_pb2
from preprocess_service.model import NormalizedPage
from preprocess_service.translation import facts_message

_BYTES_A_PAGE = 1_000
"""What one page's facts take in memory, about."""


@dataclass(frozen=True, slots=True)
class KnownPage:
    """A normalised page without its content: what its answers say of it, and the content's SHA-256."""

    page: NormalizedPage
    facts: recognition_pb2.PageAnswer
    digest: bytes


@dataclass(frozen=True, slots=True)
class SourceKey:
    """A file and all that decides what its pages become."""

    digest: bytes
    preprocessing: str
    password_digest: bytes


def source_key(digest: bytes, preprocessing: str, password: str) -> SourceKey:
    """The key; of a password only its hash is kept."""
    return SourceKey(digest, preprocessing, hashlib.sha256(password.encode()).digest() if password else b"")


def source_digest(content: bytes) -> bytes:
    """The SHA-256 of a file, 32 bytes."""
    return hashlib.sha256(content).digest()


def without_content(page: NormalizedPage, source: bytes, digest_of_source: bytes) -> KnownPage:
    """The page's facts; a page that is the file itself has the file's digest."""
    digest = digest_of_source if page.content is source else hashlib.sha256(page.content).digest()
    bare = replace(page, content=b"", preprocess_ms=0.0)
    return KnownPage(bare, facts_message(bare), digest)


class KnownPages:
    """The most recently used files, at most ``max_bytes`` of facts about them. A file is known with all its pages."""

    def __init__(self, max_bytes: int) -> None:
        self._max_pages = max_bytes // _BYTES_A_PAGE
        self._files: OrderedDict[SourceKey, tuple[KnownPage, ...]] = OrderedDict()
        self.pages = 0

    def get(self, key: SourceKey) -> tuple[KnownPage, ...] | None:
        """The file's pages, in order, or None."""
        pages = self._files.get(key)
        if pages is not None:
            self._files.move_to_end(key)
        return pages

    def put(self, key: SourceKey, pages: tuple[KnownPage, ...]) -> None:
        """Takes note of a file; lets go of the least recently used ones for it. One over the bound is not kept."""
        self.forget(key)
        if not 0 < len(pages) <= self._max_pages:
            return
        self._files[key] = pages
        self.pages += len(pages)
        while self.pages > self._max_pages:
            self.forget(next(iter(self._files)))

    def forget(self, key: SourceKey) -> None:
        """Lets go of a file, if it is known."""
        self.pages -= len(self._files.pop(key, ()))
