"""One worker process, as the service sees it: started, asked, and ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from pathlib import Path

from preprocess_service.message_values import MalformedMessage
from preprocess_service.worker_messages import (
    MAX_PAGE_BYTES,
    PREFIX_BYTES,
    Answer,
    Frame,
    Ready,
    Terms,
    answer_of,
    frame_lengths,
    header_of,
    terms_frame,
)

COMMAND = (sys.executable, "-P", "-m", "preprocess_service.page_worker")
_START_TIMEOUT_S = 30.0
_END_TIMEOUT_S = 2.0
_SOCKET_BUFFER_BYTES = 4 * 1024 * 1024
"""Most images fit, and are passed without waiting for the other end; the system may grant less."""
_MAX_LAST_WORDS_BYTES = 4_000
_KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE")
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "MALLOC_ARENA_MAX"), "1")
_KEEP_HEAP = {"MALLOC_MMAP_THRESHOLD_": str(32 * 1024 * 1024), "MALLOC_TRIM_THRESHOLD_": str(128 * 1024 * 1024)}
"""The pixels of a page are taken from memory that the one before it has used: pages that the system hands out anew are
cleared first, which takes a third of the time of decoding one (mallopt(3)). A quiet worker gives it back."""


class WorkerStartFailed(Exception):
    """A process that did not come to work; the message says what it said."""


class WorkerLost(Exception):
    """A process that can be asked no more: it ended or was killed."""


class WorkerProcess:
    """A running worker. One question at a time; the source of a document is sent by whoever asks."""

    def __init__(self, process: Process, end: socket.socket, terms: Terms) -> None:
        self._process = process
        self._end = end
        self._terms = terms
        self.is_killed = False

    @classmethod
    async def start(cls, terms: Terms, command: Sequence[str] = COMMAND) -> WorkerProcess:
        """A worker that is ready. Raises WorkerStartFailed, after 30 s at the most."""
        ours, theirs = socket.socketpair()
        with theirs:
            for end in (ours, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER_BYTES)
            ours.setblocking(False)
            try:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=theirs.fileno(),
                    stdout=DEVNULL,
                    stderr=PIPE,
                    env=_environment(),
                    start_new_session=True,  # a group of its own, so that what it may have forked is killed with it
                )
            except OSError as error:
                ours.close()
                raise WorkerStartFailed(str(error)) from error
            except BaseException:
                ours.close()
                raise
        worker = cls(process, ours, terms)
        try:
            await worker._begin()
        except BaseException:
            worker.kill()
            await worker.end()
            raise
        return worker

    async def _begin(self) -> None:
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                await self.send(terms_frame(self._terms))
                if not isinstance(await self.answer(b""), Ready):
                    raise WorkerLost("its first word is another one")
        except (TimeoutError, WorkerLost, MalformedMessage) as error:
            self.kill()
            raise WorkerStartFailed(await self._last_words() or str(error) or "it took too long") from error

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    async def send(self, frame: Frame) -> None:
        """Sends a whole frame. Raises WorkerLost."""
        try:
            sent = self._send_now(frame)
            for piece in frame:
                if sent < len(piece):
                    await asyncio.get_running_loop().sock_sendall(self._end, memoryview(piece)[sent:])
                sent = max(sent - len(piece), 0)
        except OSError as error:
            raise WorkerLost("it takes no requests") from error

    def tell(self, frame: Frame) -> None:
        """Sends a small frame that has no answer to a worker that waits for requests, so that it fits at once."""
        with contextlib.suppress(OSError):  # a worker that has ended is noticed elsewhere
            if self._end.sendmsg(frame) < sum(map(len, frame)):
                self.kill()

    async def answer(self, source: bytes) -> Answer:
        """The next answer, about the document with this content. Raises WorkerLost and MalformedMessage."""
        try:
            first = memoryview(bytearray(PREFIX_BYTES))
            await self._fill(first)
            header_bytes, body_bytes = frame_lengths(first, max_body_bytes=MAX_PAGE_BYTES)
            rest = memoryview(bytearray(header_bytes + body_bytes))
            await self._fill(rest)
            return answer_of(header_of(rest[:header_bytes]), rest[header_bytes:], source, self._terms)
        except OSError as error:
            raise WorkerLost("its socket broke") from error

    def kill(self) -> None:
        """Ends it at once, whatever it does, with the processes that it may have started; who waits for it learns of it
        at once too. May be repeated.
        """
        if not self.is_killed:
            self.is_killed = True
            with contextlib.suppress(ProcessLookupError, PermissionError):  # the latter of one that has ended, on macOS
                os.killpg(self._process.pid, signal.SIGKILL)
            with contextlib.suppress(OSError):
                self._end.shutdown(socket.SHUT_RDWR)

    def has_hung_up(self) -> bool:
        """Whether a worker that has nothing to answer has closed its end, or said something unasked."""
        try:
            self._end.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    async def wait_ended(self) -> None:
        """Returns when the process has ended by itself or was killed."""
        await self._process.wait()

    @property
    def was_killed_by_others(self) -> bool:
        """Whether it has ended by a SIGKILL that is not the service's: the system's, for memory, or an operator's."""
        return not self.is_killed and self._process.returncode == -signal.SIGKILL

    async def end(self) -> str:
        """Sees to it that the process has ended, and closes the socket. Returns how it ended, for people."""
        self._end.close()
        for _ in range(2):
            try:
                async with asyncio.timeout(_END_TIMEOUT_S):
                    await self._process.wait()
                break
            except TimeoutError:
                self.kill()
        return _ending(self._process.returncode)

    def _send_now(self, frame: Frame) -> int:
        try:
            return self._end.sendmsg(frame)
        except BlockingIOError:
            return 0

    async def _fill(self, view: memoryview) -> None:
        while view:
            try:
                read = self._end.recv_into(view)
            except BlockingIOError:
                read = await asyncio.get_running_loop().sock_recv_into(self._end, view)
            if not read:
                raise WorkerLost("it ended")
            view = view[read:]

    async def _last_words(self) -> str:
        """The end of what a process that has ended wrote to its standard error, where its traceback stands."""
        stream = self._process.stderr
        if stream is None:
            return ""
        try:
            async with asyncio.timeout(_END_TIMEOUT_S):
                return (await stream.read())[-_MAX_LAST_WORDS_BYTES:].decode(errors="replace").strip()
        except TimeoutError:
            return ""


def _ending(status: int | None) -> str:
    if status is None:
        return "cannot be ended"
    if status >= 0:
        return f"ended with status {status}"
    name = signal.Signals(-status).name if -status in set(signal.Signals) else f"signal {-status}"
    return f"was ended by {name}"


def _environment() -> dict[str, str]:
    """What a worker needs to start, and none of the service's secrets."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    modules = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
    return kept | _ONE_THREAD | _KEEP_HEAP | {"PYTHONPATH": modules}
