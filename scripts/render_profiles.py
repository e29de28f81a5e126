"""Writes the table of profiles and parameters in docs/profiles.md anew: ``python scripts/render_profiles.py``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from preprocess_service.model import PagePreference
from preprocess_service.profiles import described

PAGE = Path(__file__).parent.parent / "docs" / "profiles.md"
BEGIN, END = "<!-- parameters: begin -->\n", "<!-- parameters: end -->\n"
_COLUMNS = (
    ("auto, untouched", "auto", PagePreference.UNTOUCHED),
    ("auto, cleaned grey", "auto", PagePreference.CLEANED_GREY),
    ("auto, bilevel", "auto", PagePreference.BILEVEL),
    ("document", "document", PagePreference.UNTOUCHED),
    ("photo", "photo", PagePreference.UNTOUCHED),
    ("receipt", "receipt", PagePreference.UNTOUCHED),
    ("classic", "classic", PagePreference.UNTOUCHED),
    ("none", "none", PagePreference.UNTOUCHED),
)


def table() -> str:
    """The parameters, a row each, with what they take and what each profile sets them to."""
    return "".join(f"| {' | '.join(row)} |\n" for row in _rows())


def _rows() -> Iterator[tuple[str, ...]]:
    yield ("parameter", "takes", "", *(name for name, _, _ in _COLUMNS))
    yield ("---",) * (3 + len(_COLUMNS))
    described_columns = [described(profile, preference) for _, profile, preference in _COLUMNS]
    for each in zip(*described_columns, strict=True):
        values = [f"{one.default:g}" if isinstance(one.default, float) else str(one.default) for one in each]
        yield (f"`{each[0].key}`", each[0].takes.replace(" | ", ", "), each[0].meaning, *values)


def page_with(rendered: str, page: str) -> str:
    """The page with this table between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{rendered}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page_with(table(), PAGE.read_text()))
