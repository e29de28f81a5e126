"""A comparison as one HTML file that needs nothing else: no network, no other file, not even scripts.

What was read is never markup: everything goes through ``html.escape``, and the page's own policy lets no script run but
the one whose digest it names.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from html import escape
from importlib import resources
from string import Template

from PIL import Image

from ocrmux_client.comparison.compared_page import ComparedPage
from ocrmux_client.comparison.figures import NONE, notes, share, summary_columns
from ocrmux_client.comparison.html_reading import reading_sections
from ocrmux_client.comparison.html_sheet import sheet
from ocrmux_client.comparison.totals import Comparison

PROVIDERS_MAX = 8
"""So many colours there are."""

PictureOf = Callable[[ComparedPage], Image.Image | None]
"""The picture of a page, upright, or None where it cannot be drawn."""


def html_pieces(comparison: Comparison, pages_max: int, picture_of: PictureOf) -> Iterator[str]:
    """The page, piece by piece: its head with the totals, then one page of the comparison after the other.

    At most ``pages_max`` of these, those that differ most. ``picture_of`` is asked for one picture at a time.
    """
    style, script = (_part(name) for name in ("page.css", "page.js"))
    title = f"{', '.join(comparison.providers[:-1])} and {comparison.providers[-1]} compared"
    worst = comparison.worst[:pages_max]
    pages = f"{comparison.pages} page{'' if comparison.pages == 1 else 's'}"
    shown = f", of which the {len(worst)} that differ most are shown" if len(worst) < comparison.pages else ""
    yield Template(_part("page.html")).substitute(
        title=escape(title),
        lead=f"{pages}, feature {comparison.feature.value}{shown}",
        style=style,
        style_hash=_hash(style),
        script_hash=_hash(script),
        switches=_switches(comparison),
        summary=_summary(comparison),
        notes="".join(f"<li>{escape(note)}</li>" for note in notes(comparison)),
        index=_index(comparison, worst),
    )
    for number, page in enumerate(worst, start=1):
        yield _article(comparison, page, number, picture_of(page))
    yield f"</main>\n<script>{script}</script>\n</body>\n</html>\n"


def _article(comparison: Comparison, page: ComparedPage, number: int, picture: Image.Image | None) -> str:
    pairs = ", ".join(f"{' and '.join(pair)} {share(value)}" for pair, value in page.agreements.items())
    return (
        f'<article id="page-{number}" aria-labelledby="page-{number}-name">\n'
        f'<h2 id="page-{number}-name">{escape(page.place)}</h2>\n'
        f'<p class="soft">agreement: {escape(pairs) or NONE}</p>\n'
        f'<div class="layout">\n{sheet(comparison.providers, page, picture)}\n'
        f'<div class="readings">\n{reading_sections(comparison, page)}</div>\n</div>\n</article>\n'
    )


def _switches(comparison: Comparison) -> str:
    boxes = [
        f'<label class="p{number}"><input type="checkbox" id="show{number}" checked>'
        f'<span class="swatch"></span>{escape(name)}</label>'
        for number, name in enumerate(comparison.providers)
    ]
    marks = '<label><input type="checkbox" id="show-marks" checked>differences</label>'
    wide = '<label><input type="checkbox" id="show-wide">wide pictures</label>'
    return f'<span class="soft">boxes of</span>\n{"".join(boxes)}\n{marks}\n{wide}'


def _summary(comparison: Comparison) -> str:
    columns = summary_columns(comparison)
    head = "".join(f'<th scope="col"{"" if name == "provider" else _NUMBER}>{escape(name)}</th>' for name in columns)
    rows = []
    for number, row in enumerate(zip(*columns.values(), strict=True)):
        cells = dict(zip(columns, row, strict=True))
        name = f'<th scope="row" class="p{number}"><span class="swatch"></span> {escape(cells.pop("provider"))}</th>'
        failed = ' class="number bad"'
        others = "".join(
            f"<td{failed if column == 'failed' and cell != '0' else _NUMBER}>{escape(cell)}</td>"
            for column, cell in cells.items()
        )
        rows.append(f"<tr>{name}{others}</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _index(comparison: Comparison, pages: list[ComparedPage]) -> str:
    pairs = list(comparison.pairs)
    names = [" = ".join(pair) for pair in pairs]
    names += [f"{name} errors" for name in comparison.providers] if comparison.with_truth else []
    head = "".join(f'<th scope="col"{_NUMBER}>{escape(name)}</th>' for name in names)
    rows = []
    for number, page in enumerate(pages, start=1):
        cells = [_shaded(page.agreements.get(pair)) for pair in pairs]
        if comparison.with_truth:
            errors = [page.errors.get(name) for name in comparison.providers]
            cells += [f"<td{_NUMBER}>{escape(share(None if one is None else one.rate))}</td>" for one in errors]
        failed = f"not read by {', '.join(page.failed)}" if page.failed else ""
        told = failed or (f"{page.outlier} differs most" if page.outlier else "")
        rows.append(
            f'<tr><th scope="row"><a href="#page-{number}">{escape(page.place)}</a></th>{"".join(cells)}'
            f'<td class="{"bad" if failed else "soft"}">{escape(told)}</td></tr>'
        )
    return (
        f'<table><thead><tr><th scope="col">page</th>{head}<th scope="col"><span class="soft"></span></th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _shaded(value: float | None) -> str:
    if value is None:
        return f"<td{_NUMBER}>{NONE}</td>"
    shade = "good" if value >= 0.98 else "fair" if value >= 0.9 else "bad"
    return f'<td class="number {shade}">{escape(share(value))}</td>'


_NUMBER = ' class="number"'


def _part(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """The digest of an inline style or script, as a content security policy names it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
