"""What a load sends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ocrmux_client import sources
from ocrmux_client.errors import UsageProblem
from ocrmux_client.load.drawn_page import PageDrawer
from ocrmux_client.load.file_marks import can_be_marked, marked

HELD_MAX_BYTES = 512 << 20
_RUNS = 10**9  # of the marks that two runs have, one in so many is the same
_NUMBERS = 10**11


class LoadImages(Protocol):
    """Files by the number of the arrival."""

    def content(self, number: int) -> bytes:
        """The file to send; quick enough for the driver's own thread."""
        ...

    def described(self) -> dict[str, Any]:
        """What they are, for the report."""
        ...


class DrawnImages:
    """Pages that are drawn. ``distinct`` of them by turns; with ``unique`` each arrival has one that no run had before.

    ``run`` tells this run's from others'.
    """

    def __init__(self, distinct: int, run: int, *, unique: bool) -> None:
        self._drawer = PageDrawer()
        self._distinct = distinct
        self._run = run % _RUNS
        self._unique = unique
        self._held: dict[int, bytes] = {}

    def content(self, number: int) -> bytes:
        """The arrival's page."""
        if self._unique:
            return self._drawer.page(self._run * _NUMBERS + number)
        place = number % self._distinct
        if place not in self._held:
            self._held[place] = self._drawer.page(place)
        return self._held[place]

    def described(self) -> dict[str, Any]:
        """Their number, and bytes of one."""
        return {
            "kind": "drawn",
            "distinct": None if self._unique else self._distinct,
            "bytes": len(self._drawer.page(0)),
        }


@dataclass(frozen=True, slots=True)
class FileImages:
    """Files by turns, held in memory. With ``unique`` each arrival's has a comment that no run had before."""

    contents: Sequence[bytes]
    run: int
    unique: bool

    def content(self, number: int) -> bytes:
        """The arrival's file."""
        content = self.contents[number % len(self.contents)]
        return marked(content, f"ocrmux bench {self.run % _RUNS} {number}") if self.unique else content

    def described(self) -> dict[str, Any]:
        """Their number, and bytes of one on average."""
        return {
            "kind": "files",
            "distinct": None if self.unique else len(self.contents),
            "bytes": round(sum(map(len, self.contents)) / len(self.contents)),
        }


def file_images(paths: Sequence[str], run: int, *, unique: bool) -> FileImages:
    """The files that the paths name. Raises UsageProblem: none, unreadable, too many to hold, or not to be marked."""
    sources.check_paths(paths)
    contents: list[bytes] = []
    held = 0
    for path in sources.walk(paths):
        content = _read(path)
        held += len(content)
        if held > HELD_MAX_BYTES:
            raise UsageProblem(
                f"a load is sent from memory: {', '.join(paths)} has more than {HELD_MAX_BYTES >> 20} MiB"
            )
        if unique and not can_be_marked(content):
            raise UsageProblem(f"--unique changes PNG and JPEG files; {path} is neither")
        contents.append(content)
    if not contents:
        raise UsageProblem(f"no image or document in {', '.join(paths)}")
    return FileImages(contents, run, unique)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageProblem(f"{path} cannot be read: {error.strerror or error}") from error
