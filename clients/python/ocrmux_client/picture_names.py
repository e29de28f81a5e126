"""How the pictures of pages are named after their sources."""

from __future__ import annotations

import hashlib
from pathlib import Path


class PictureNames:
    """Names of files in one folder, for sources below ``root``: by the path from there, so that no two sources get one
    name. A source's only page is not numbered.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def name(self, source: Path, page: int, page_count: int | None, suffix: str) -> str:
        """The file's name, ``suffix`` with its dot at the end."""
        numbered = f".page-{page}" if page_count != 1 else ""
        return f"{self._stem(source)}{numbered}{suffix}"

    def _stem(self, source: Path) -> str:
        absolute = source.absolute()
        digest = hashlib.blake2s(str(absolute).encode("utf-8", "surrogateescape"), digest_size=4).hexdigest()
        if not absolute.is_relative_to(self._root) or ".." in absolute.parts:
            return f"{_cut(source.name)}~{digest}"
        parts = absolute.relative_to(self._root).parts
        stem = "__".join(parts)
        unambiguous = tuple(stem.split("__")) == parts and "~" not in stem and _cut(stem) == stem
        return stem if unambiguous else f"{_cut(stem)}~{digest}"


def _cut(name: str) -> str:
    """The name, its middle left out where it is too long for a file name with additions."""
    encoded = name.encode("utf-8", "surrogateescape")
    if len(encoded) <= 180:
        return name
    return encoded[:80].decode("utf-8", "ignore") + "…" + encoded[-80:].decode("utf-8", "ignore")
