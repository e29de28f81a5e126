"""The documentation of profiles is that of the code."""

from __future__ import annotations

from scripts.render_profiles import PAGE, page_with, table


def test_the_page_has_the_parameters_as_they_are() -> None:
    """docs/profiles.md is what scripts/render_profiles.py writes."""
    page = PAGE.read_text()
    assert page == page_with(table(), page)
    assert "`deskew.min_deg`" in page
