"""Grids from rules: where rules across meet rules down there is a table, and cells end where a rule stands."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence

from ocr_gateway.tables.grid import Grid, joined_cells
from ocr_gateway.tables.rules import Rule, Rules

# A rule parts two squares when it runs along this share of their common edge.
_PARTING_SHARE = 0.6
# Squares of a grid: more would take seconds. The largest sheets have some thousands.
_MAX_SQUARES = 20_000
# Rounds in which rules are dropped that no longer meet two others; a loose end has seldom another one at its end.
_MAX_ROUNDS = 8


def ruled_grids(rules: Rules, slack_px: float) -> list[Grid]:
    """A grid for each set of at least two rules across and two down that meet within ``slack_px``.

    A grid of one cell is a frame, and is left out; so is one of more than 20 000 squares. Where the rules across run on
    beyond the last rule down (or those down beyond the last across), their ends close the grid.
    """
    grids = []
    for across, down in _tables(rules, slack_px):
        rows = _edges(across, down, slack_px)
        columns = _edges(down, across, slack_px)
        if 4 < len(rows) * len(columns) <= _MAX_SQUARES:
            grids.append(_grid(across, down, rows, columns, slack_px))
    return [grid for grid in grids if len(grid.cells) > 1]


def _tables(rules: Rules, slack: float) -> list[tuple[list[Rule], list[Rule]]]:
    """The rules that hang together, but those that meet fewer than two others."""
    across, down = list(rules.across), list(rules.down)
    for _ in range(_MAX_ROUNDS):
        meetings = _meetings(across, down, slack)
        met_across, met_down = Counter(i for i, _ in meetings), Counter(j for _, j in meetings)
        kept_across = [rule for i, rule in enumerate(across) if met_across[i] >= 2]
        kept_down = [rule for j, rule in enumerate(down) if met_down[j] >= 2]
        if len(kept_across) == len(across) and len(kept_down) == len(down):
            break
        across, down = kept_across, kept_down
    return _components(across, down, _meetings(across, down, slack))


def _meetings(across: Sequence[Rule], down: Sequence[Rule], slack: float) -> list[tuple[int, int]]:
    """Index pairs of rules that cross or touch."""
    order = sorted(range(len(down)), key=lambda j: down[j].at)
    places = [down[j].at for j in order]
    found: list[tuple[int, int]] = []
    for i, rule in enumerate(across):
        within = order[bisect_left(places, rule.start - slack) : bisect_right(places, rule.end + slack)]
        found.extend((i, j) for j in within if down[j].start - slack <= rule.at <= down[j].end + slack)
    return found


def _components(
    across: Sequence[Rule], down: Sequence[Rule], meetings: Sequence[tuple[int, int]]
) -> list[tuple[list[Rule], list[Rule]]]:
    neighbours: dict[int, list[int]] = {}
    for i, j in meetings:
        neighbours.setdefault(i, []).append(-1 - j)
        neighbours.setdefault(-1 - j, []).append(i)
    parts = []
    seen: set[int] = set()
    for first in range(len(across)):
        if first in seen:
            continue
        seen.add(first)
        waiting, part = [first], []
        while waiting:
            each = waiting.pop()
            part.append(each)
            fresh = [other for other in neighbours.get(each, ()) if other not in seen]
            seen.update(fresh)
            waiting.extend(fresh)
        parts.append(([across[k] for k in part if k >= 0], [down[-1 - k] for k in part if k < 0]))
    return parts


def _edges(rules: Sequence[Rule], crossing: Sequence[Rule], slack: float) -> list[float]:
    """The places of the rules, those within ``slack`` of each other as one, and of the crossing rules' outer ends."""
    edges: list[float] = []
    group: list[Rule] = []
    for rule in sorted(rules, key=lambda each: each.at):
        if group and rule.at - group[-1].at > slack:
            edges.append(_middle(group))
            group = []
        group.append(rule)
    edges.append(_middle(group))
    for end, outer, side in (
        (min(r.start for r in crossing), edges[0], 0),
        (max(r.end for r in crossing), edges[-1], -1),
    ):
        reaching = sum(abs((r.start, r.end)[side] - end) <= slack for r in crossing)
        if abs(end - outer) > 2 * slack and reaching >= 2:
            edges.insert(0 if side == 0 else len(edges), end)
    return edges


def _middle(group: Sequence[Rule]) -> float:
    """Where rules of one edge stand, by their lengths."""
    length = sum(rule.end - rule.start for rule in group)
    return sum(rule.at * (rule.end - rule.start) for rule in group) / max(length, 1e-6)


def _grid(
    across: Sequence[Rule], down: Sequence[Rule], rows: Sequence[float], columns: Sequence[float], slack: float
) -> Grid:
    at_rows = _by_edge(across, rows, slack)
    at_columns = _by_edge(down, columns, slack)

    def open_below(row: int, column: int) -> bool:
        return not _parts(at_rows[row + 1], columns[column], columns[column + 1])

    def open_right(row: int, column: int) -> bool:
        return not _parts(at_columns[column + 1], rows[row], rows[row + 1])

    cells = joined_cells(len(rows) - 1, len(columns) - 1, open_below, open_right)
    return Grid(tuple(rows), tuple(columns), cells)


def _by_edge(rules: Sequence[Rule], edges: Sequence[float], slack: float) -> list[list[Rule]]:
    found: list[list[Rule]] = [[] for _ in edges]
    for rule in rules:
        index = min(range(len(edges)), key=lambda k: abs(edges[k] - rule.at))
        if abs(edges[index] - rule.at) <= 2 * slack:
            found[index].append(rule)
    return found


def _parts(rules: Sequence[Rule], start: float, end: float) -> bool:
    return sum(rule.covers(start, end) for rule in rules) >= _PARTING_SHARE * (end - start)
