"""How much of the drawn tables was found: F1 over cells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ocr_gateway.model import Table
from tests.fakes.tables import TablePage

Key = tuple[int, int, int, int, str]


@dataclass(frozen=True, slots=True)
class Score:
    """Cells that were drawn, cells that were found, and those in which both agree."""

    drawn: int = 0
    found: int = 0
    agreed: int = 0

    def __add__(self, other: Score) -> Score:
        return Score(self.drawn + other.drawn, self.found + other.found, self.agreed + other.agreed)

    @property
    def f1(self) -> float:
        """Twice the agreed over drawn and found together; 1 where there was nothing to find and nothing was found."""
        return 2 * self.agreed / (self.drawn + self.found) if self.drawn + self.found else 1.0


def cell_score(drawn: TablePage, tables: Sequence[Table]) -> Score:
    """Cells with text count, and agree in row, column, both spans and text, runs of white space taken as one blank.

    Cells without text count neither as drawn nor as found. The largest table is the page's; the cells of all others
    count as found and agree with nothing.
    """
    return _score(drawn, tables, structure_only=False)


def structure_score(drawn: TablePage, tables: Sequence[Table]) -> Score:
    """As ``cell_score``, but cells agree whatever their text says."""
    return _score(drawn, tables, structure_only=True)


def _score(drawn: TablePage, tables: Sequence[Table], *, structure_only: bool) -> Score:
    def keys(cells: Iterable[Key]) -> Counter[Key]:
        return Counter((*place, "" if structure_only else words) for *place, words in cells if words)  # type: ignore[misc]

    gold = keys((c.row, c.column, c.row_span, c.column_span, " ".join(c.text.split())) for c in drawn.cells)
    largest = max(tables, key=lambda table: len(table.cells), default=None)
    found: Counter[Key] = Counter()
    others = 0
    for table in tables:
        counted = keys((c.row, c.column, c.row_span, c.column_span, " ".join(c.text.split())) for c in table.cells)
        if table is largest:
            found = counted
        else:
            others += counted.total()
    return Score(gold.total(), found.total() + others, (gold & found).total())
