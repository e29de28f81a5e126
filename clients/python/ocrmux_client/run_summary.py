"""What a run has done so far, and what it says of itself at the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

_GROUPS_MAX = 20
_NAMED_MAX = 20
_NAMED_OF_SEVERAL_MAX = 5
_OF_THE_ORDER = frozenset(
    {
        "FEATURE_UNSUPPORTED_BY_PROVIDER",
        "FIELD_INVALID",
        "PROFILE_UNKNOWN",
        "PROVIDER_NOT_CONFIGURED",
        "PROVIDER_UNKNOWN",
    }
)
"""Reasons that lie in how the run was asked for, so that the names of the items tell nothing more."""
_REMEDIES = {"PASSWORD_REQUIRED": "encrypted documents are opened with --password TEXT, or OCRMUX_PASSWORD"}
"""What the caller can do, by reason."""


class CountedPage(Protocol):
    """What is counted of a record."""

    @property
    def source(self) -> str:
        """The file."""
        ...

    @property
    def page_number(self) -> int:
        """0 for the source as a whole."""
        ...

    @property
    def page_count(self) -> int | None:
        """None where it is not known."""
        ...

    @property
    def status(self) -> str:
        """``OK`` or a code's name."""
        ...

    @property
    def reason(self) -> str:
        """The stable reason of an error."""
        ...

    @property
    def message(self) -> str:
        """The error in words."""
        ...

    @property
    def ok(self) -> bool:
        """Whether it is no error."""
        ...

    @property
    def from_cache(self) -> bool:
        """Whether nobody was asked for its sake."""
        ...

    @property
    def place(self) -> str:
        """Source and page, for a person."""
        ...


@dataclass(slots=True)
class _FailureGroup:
    """Failures with one code, reason and message; the places of the first ones."""

    reason: str
    failures: int = 0
    places: list[str] = field(default_factory=list)

    def lines(self, cause: str, named_max: int) -> Iterator[str]:
        if self.failures == 1:
            yield f"  {self.places[0]}: {cause}"
            return
        yield f"  {self.failures} times {cause}"
        yield from (f"    {place}" for place in self.places[:named_max])
        if self.failures > named_max:
            yield f"    … and {self.failures - named_max} more"


@dataclass(slots=True)
class RunSummary:
    """Counts of pages; the first failures in words, bounded in number.

    ``undone``, ``page`` and ``picture`` are its words for what failed, for what is counted and for a picture that was
    drawn.
    """

    undone: str = "not read"
    page: str = "page"
    picture: str = "annotated picture"
    tells_cache: bool = True
    pages: int = 0
    sources_done: int = 0
    sources_skipped: int = 0
    from_cache: int = 0
    errors: int = 0
    pictures: int = 0
    not_drawn: int = 0
    bugs: int = 0
    _groups: dict[str, _FailureGroup] = field(default_factory=dict)
    _shares: dict[str, float] = field(default_factory=dict)
    _costs: dict[str, float] = field(default_factory=dict)

    @property
    def sources_under_way(self) -> float:
        """Files' worth of work that is done of documents whose last page is not."""
        return sum(self._shares.values())

    def count(self, record: CountedPage, *, last_page: bool) -> None:
        """Adds one page."""
        self.pages += 1
        self.sources_done += last_page
        if last_page:
            self._shares.pop(record.source, None)
        elif record.page_count:
            self._shares[record.source] = record.page_number / record.page_count
        self.from_cache += record.from_cache
        if not record.ok:
            self.errors += 1
            self.bugs += record.status == "INTERNAL"
            self._remember(record)

    def pay(self, cost: float, currency: str) -> None:
        """Adds what a page cost; 0 adds nothing."""
        if cost:
            self._costs[currency] = self._costs.get(currency, 0.0) + cost

    def failure_lines(self) -> Iterator[str]:
        """The failures, those with one cause together and the first of them named; bounded in number."""
        groups = self._groups
        if not groups:
            return
        first_cause, first = next(iter(groups.items()))
        if first.failures == self.pages > 1 and first.reason in _OF_THE_ORDER:
            yield f"{self.undone}: all {_counted(self.sources_done, 'item')} failed: {first_cause}"
            return
        yield f"{self.undone}:"
        named_max = _NAMED_MAX if len(groups) == 1 else _NAMED_OF_SEVERAL_MAX
        for cause, group in groups.items():
            yield from group.lines(cause, named_max)
        if rest := self.errors - sum(group.failures for group in groups.values()):
            yield f"  … and {rest} more"
        yield from sorted({_REMEDIES[group.reason] for group in groups.values() if group.reason in _REMEDIES})

    def line(self, elapsed_s: float, pictures_in: Path | None) -> str:
        """The run in one line."""
        rate = self.pages / elapsed_s if elapsed_s > 0 else 0.0
        parts = [
            f"{_counted(self.pages, self.page)} in {elapsed_s:.1f} s ({rate:.1f} {self.page}s/s)",
        ]
        if self.tells_cache:
            parts.append(f"{self.from_cache} from the cache")
        parts.append(_counted(self.errors, "error"))
        parts += [f"cost {cost:.6g} {currency}".rstrip() for currency, cost in self._costs.items()]
        if self.sources_skipped:
            parts.append(f"{_counted(self.sources_skipped, 'source')} done before")
        if pictures_in is not None:
            parts.append(f"{_counted(self.pictures, self.picture)} in {pictures_in}")
        if self.not_drawn:
            parts.append(f"{_counted(self.not_drawn, 'page')} that cannot be drawn")
        return ", ".join(parts)

    def _remember(self, record: CountedPage) -> None:
        cause = f"{record.status} {record.reason}".rstrip() + f": {record.message}"
        group = self._groups.get(cause)
        if group is None:
            if len(self._groups) == _GROUPS_MAX:
                return
            group = self._groups[cause] = _FailureGroup(record.reason)
        group.failures += 1
        if len(group.places) < _NAMED_MAX:
            group.places.append(record.place)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
