"""What an earlier, perhaps broken run has left in its JSONL file."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ocrmux_client.errors import UsageProblem
from ocrmux_client.records import OK


@dataclass(slots=True)
class _SourceState:
    """The pages of one source that the file holds."""

    page_count: int | None = None
    ok_pages: set[int] = field(default_factory=set)
    failed: bool = False

    @property
    def complete(self) -> bool:
        return (
            not self.failed and self.page_count is not None and self.ok_pages.issuperset(range(1, self.page_count + 1))
        )


def take_up(out: Path) -> frozenset[str]:
    """The sources that ``out`` holds complete, by ``source_key``; everything else is taken out of the file.

    A torn last line and the records of incomplete or failed sources go; the rest stays as it is, each page once. The
    file is replaced in one step, so that a crash here loses nothing. Raises UsageProblem if it is no file of records.
    """
    if not out.exists():
        return frozenset()
    try:
        sources = _sources(out)
        complete = frozenset(key for key, state in sources.items() if state.complete)
        _keep(out, complete)
    except OSError as error:
        raise UsageProblem(f"{out} cannot be resumed: {error.strerror or error}") from error
    return complete


def source_key(source: str) -> str:
    """The same for every spelling of one path."""
    return os.path.normpath(Path(source).absolute())


def _sources(out: Path) -> dict[str, _SourceState]:
    sources: dict[str, _SourceState] = {}
    for _, record in _records(out):
        state = sources.setdefault(source_key(record["source"]), _SourceState())
        state.page_count = record.get("page_count") or state.page_count
        if record["status"] == OK:
            state.ok_pages.add(record["page"])
        else:
            state.failed = True
    return sources


def _keep(out: Path, complete: frozenset[str]) -> None:
    kept: set[tuple[str, int]] = set()
    descriptor, name = tempfile.mkstemp(dir=out.resolve().parent, prefix=f".{out.name}.", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as rewritten:
            for line, record in _records(out):
                page = (source_key(record["source"]), record["page"])
                if page[0] in complete and page not in kept:
                    kept.add(page)
                    rewritten.write(line)
            rewritten.flush()
            os.fsync(rewritten.fileno())
        shutil.copymode(out, name)
        Path(name).replace(out.resolve())
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _records(out: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Each whole line with its record. Only the last line may be torn."""
    torn_at: int | None = None
    with out.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if torn_at is not None:
                raise UsageProblem(f"line {torn_at} of {out} is no record of ocrmux; it cannot be resumed")
            record = _record(line) if line.endswith(b"\n") else None
            if record is None:
                torn_at = number
            else:
                yield line, record
    if torn_at == 1:
        _refuse_foreign(out)


def _refuse_foreign(out: Path) -> None:
    with out.open("rb") as torn:
        if not torn.read(1) == b"{":
            raise UsageProblem(f"line 1 of {out} is no record of ocrmux; it cannot be resumed")


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if not isinstance(record, dict):
        return None
    told = isinstance(record.get("source"), str) and isinstance(record.get("page"), int)
    return record if told and isinstance(record.get("status"), str) else None
