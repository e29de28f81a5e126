"""A child process fed from memory, bounded in time and in output, and never left behind."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_CHUNK_BYTES = 64 * 1024
_MAX_ERROR_BYTES = 64 * 1024
_DRAIN_TIMEOUT_S = 1.0


class OutputTooLong(Exception):
    """A child that wrote more than it may."""


@dataclass(frozen=True, slots=True)
class ProcessOutcome:
    """What a finished child left. ``errors`` is cut to its first 64 KiB."""

    status: int
    output: bytes
    errors: bytes


async def run_bounded(
    arguments: Sequence[str],
    *,
    stdin: bytes = b"",
    environment: Mapping[str, str],
    max_output_bytes: int,
    timeout_s: float,
) -> ProcessOutcome:
    """Runs the child to its end. However this ends, by a cancel too, the child is killed and reaped first.

    Raises ``TimeoutError`` after ``timeout_s``, ``OutputTooLong`` beyond ``max_output_bytes``, and ``OSError`` where
    the program cannot be started.
    """
    process = await asyncio.create_subprocess_exec(
        *arguments,
        # Without content there is no pipe: a child that ends at once may have closed it before anything is written.
        stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=dict(environment),
    )
    try:
        async with asyncio.timeout(timeout_s):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_feed(process.stdin, stdin))
                output = tasks.create_task(_read(process.stdout, max_output_bytes, cut=False))
                errors = tasks.create_task(_read(process.stderr, _MAX_ERROR_BYTES, cut=True))
            status = await process.wait()
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
    finally:
        await _end(process)
    return ProcessOutcome(status, output.result(), errors.result())


async def _feed(pipe: asyncio.StreamWriter | None, content: bytes) -> None:
    """Writes the content and closes the pipe. A child that stops reading says why by its status."""
    if pipe is None:
        return
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        pipe.write(content)
        await pipe.drain()
    pipe.close()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        await pipe.wait_closed()


async def _read(pipe: asyncio.StreamReader | None, most: int, *, cut: bool) -> bytes:
    parts: list[bytes] = []
    length = 0
    while pipe is not None and (part := await pipe.read(_CHUNK_BYTES)):
        length += len(part)
        if length <= most:
            parts.append(part)
        elif not cut:
            raise OutputTooLong(f"more than {most} bytes")
    return b"".join(parts)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kills and reaps a child that still runs, and empties its pipes, which closes them."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    if process.stdin is not None:
        process.stdin.close()
    with contextlib.suppress(TimeoutError):
        # A grandchild may hold a pipe open; it is not waited for. The child is dead by now, and reaped by the loop.
        async with asyncio.timeout(_DRAIN_TIMEOUT_S):
            for pipe in (process.stdout, process.stderr):
                while pipe is not None and await pipe.read(_CHUNK_BYTES):
                    pass
            await process.wait()
