"""Which lines of the decoders, and of the library beneath them that is Python, a file has reached."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

_TRACED = ("/preprocess_service/decoders/", "/PIL/")


class LineCoverage:
    """Lines reached so far by all that ran within ``watching``. Native code is not seen."""

    def __init__(self) -> None:
        self._seen: set[tuple[CodeType, int]] = set()
        self._wanted: dict[CodeType, bool] = {}

    @property
    def lines(self) -> int:
        """How many lines were reached."""
        return len(self._seen)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Counts the lines that run inside, in this thread."""
        before = sys.gettrace()
        sys.settrace(self._on_call)
        try:
            yield
        finally:
            sys.settrace(before)

    def _on_call(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        code = frame.f_code
        wanted = self._wanted.get(code)
        if wanted is None:
            wanted = self._wanted[code] = any(part in code.co_filename for part in _TRACED)
        return self._on_line if wanted else None

    def _on_line(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        self._seen.add((frame.f_code, frame.f_lineno))
        return self._on_line
