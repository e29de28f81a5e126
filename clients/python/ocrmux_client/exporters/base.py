"""The port: how a record becomes text."""

from __future__ import annotations

from typing import Protocol, TypeVar

RecordT_contra = TypeVar("RecordT_contra", contravariant=True)


class Exporter(Protocol[RecordT_contra]):
    """Turns records into pieces of text, each of which is written whole. Touches no file."""

    def head(self) -> str:
        """What stands before the first record; may be empty."""
        ...

    def piece(self, record: RecordT_contra) -> str:
        """The record's own piece; empty where the format has no place for it."""
        ...
