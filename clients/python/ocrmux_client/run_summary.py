"""What a run has done so far, and what it says of itself at the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ocrmux_client.records import PageRecord

_LISTED_MAX = 20


@dataclass(slots=True)
class RunSummary:
    """Counts of pages; the first failures in words."""

    pages: int = 0
    sources_done: int = 0
    sources_skipped: int = 0
    from_cache: int = 0
    errors: int = 0
    pictures: int = 0
    not_drawn: int = 0
    bugs: int = 0
    failures: list[str] = field(default_factory=list)

    def count(self, record: PageRecord, *, last_page: bool) -> None:
        """Adds one page."""
        self.pages += 1
        self.sources_done += last_page
        self.from_cache += record.from_cache
        if not record.ok:
            self.errors += 1
            self.bugs += record.status == "INTERNAL"
            if len(self.failures) < _LISTED_MAX:
                reason = f"{record.status} {record.reason}".rstrip()
                self.failures.append(f"{record.place}: {reason}: {record.message}")

    def failure_lines(self) -> Iterator[str]:
        """The failures, at most 20 and then how many more."""
        if self.failures:
            yield "not read:"
        for failure in self.failures:
            yield f"  {failure}"
        if self.errors > len(self.failures):
            yield f"  … and {self.errors - len(self.failures)} more"

    def line(self, elapsed_s: float, pictures_in: Path | None) -> str:
        """The run in one line."""
        rate = self.pages / elapsed_s if elapsed_s > 0 else 0.0
        parts = [
            f"{_counted(self.pages, 'page')} in {elapsed_s:.1f} s ({rate:.1f} pages/s)",
            f"{self.from_cache} from the cache",
            _counted(self.errors, "error"),
        ]
        if self.sources_skipped:
            parts.append(f"{_counted(self.sources_skipped, 'source')} done before")
        if pictures_in is not None:
            parts.append(f"{_counted(self.pictures, 'annotated picture')} in {pictures_in}")
        if self.not_drawn:
            parts.append(f"{_counted(self.not_drawn, 'page')} that cannot be drawn")
        return ", ".join(parts)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
