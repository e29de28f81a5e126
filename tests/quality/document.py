"""The figures' place in docs/quality.md, and the facts that they depend on."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Sequence
from pathlib import Path

from tests.quality.reading import engine_version

PAGE = Path("docs/quality.md")
IMAGES = Path("docs/images")

_BEGIN, _END = "<!-- figures: begin -->", "<!-- figures: end -->"
_LIBRARIES = ("opencv-python-headless", "pillow")


def with_figures(text: str, lines: Sequence[str]) -> str:
    """The page with the lines between its marks. Raises ValueError for one without marks."""
    figures = "\n".join([_BEGIN, "", *lines, "", _END])
    changed, places = re.subn(f"{_BEGIN}.*{_END}", lambda _: figures, text, flags=re.DOTALL)
    if places != 1:
        raise ValueError("there is no place for the figures")
    return changed


def facts(engines: Sequence[str], seed: int, pages: int) -> str:
    """A line that says what was measured with what."""
    libraries = [f"{name} {importlib.metadata.version(name)}" for name in _LIBRARIES]
    return f"Seed {seed}, {pages} pages a class; {', '.join([*map(engine_version, engines), *libraries])}."
