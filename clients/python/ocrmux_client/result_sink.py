"""Where results are written to."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Self

from ocrmux_client.errors import UsageProblem

_STDOUT_FD = 1
_SLICE_BYTES = 4096  # PIPE_BUF: a pipe that is ready takes this much without blocking
_LAST_WORDS_S = 1.0


class ResultSink:
    """A file, or standard output. Each piece is written whole and at once; only a crash in mid-write can tear one.

    ``append`` keeps what the file holds, else it is emptied. Opening raises UsageProblem; ``write`` raises OSError, of
    which BrokenPipeError means that the reader wants no more.
    """

    def __init__(self, out: Path | None, *, append: bool) -> None:
        self._fd = _STDOUT_FD
        if out is not None:
            flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if append else os.O_TRUNC)
            try:
                self._fd = os.open(out, flags, 0o666)
            except OSError as error:
                raise UsageProblem(f"{out} cannot be written: {error.strerror or error}") from error
        mode = os.fstat(self._fd).st_mode
        self.is_terminal = os.isatty(self._fd)
        self._may_block = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or self.is_terminal

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fd != _STDOUT_FD:
            os.close(self._fd)

    async def write(self, piece: str) -> None:
        """Writes the piece. When cancelled, a reader that is slow gets one second more to take the rest of it."""
        rest = memoryview(piece.encode("utf-8", errors="surrogateescape"))
        if not self._may_block:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
            return
        drip = asyncio.ensure_future(self._drip(rest))
        try:
            await asyncio.shield(drip)
        except asyncio.CancelledError:
            await asyncio.wait({drip}, timeout=_LAST_WORDS_S)
            drip.cancel()
            raise

    async def _drip(self, rest: memoryview) -> None:
        loop = asyncio.get_running_loop()
        writable = asyncio.Event()
        loop.add_writer(self._fd, writable.set)
        try:
            while rest:
                await writable.wait()
                rest = rest[os.write(self._fd, rest[:_SLICE_BYTES]) :]
                writable.clear()
        finally:
            loop.remove_writer(self._fd)
