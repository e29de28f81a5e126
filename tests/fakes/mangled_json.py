"""Answers of which one part is something else: what a broken or hostile service may say."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

Path = tuple[str | int, ...]

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from([10**400, "", -1]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
"""Any value that a parser of JSON can give, NaN and numbers too large for a float among them."""


def mangled(said: Any) -> st.SearchStrategy[Any]:
    """``said`` with any one part replaced by anything."""
    paths = list(_paths(said))
    return st.builds(lambda path, value: _replaced(said, path, value), st.sampled_from(paths), ANY_JSON)


def _paths(said: Any, at: Path = ()) -> Iterator[Path]:
    yield at
    inner = said.items() if isinstance(said, dict) else enumerate(said) if isinstance(said, list) else ()
    for name, value in inner:
        yield from _paths(value, (*at, name))


def _replaced(said: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    whole = copy.deepcopy(said)
    holder = whole
    for name in path[:-1]:
        holder = holder[name]
    holder[path[-1]] = value
    return whole
