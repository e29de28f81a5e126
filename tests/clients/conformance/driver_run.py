"""One run of a driver: what it is told, what it tells, and what happens to the servers meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.clients.conformance.resident_memory import ResidentMemory
from tests.clients.conformance.scenario import RUN_MAX_S, Event

_LINE_MAX_BYTES = 16 << 20
_LAST_WORDS = 2000

Act = Callable[[str, "DriverRun"], Awaitable[None]]
"""Does one action of a scenario."""


class DriverFailed(AssertionError):
    """The driver did not keep to its protocol."""


@dataclass
class DriverRun:
    """What a driver has told so far."""

    answers: list[dict[str, Any]] = field(default_factory=list)
    reconnects: list[dict[str, Any]] = field(default_factory=list)
    providers: list[str] = field(default_factory=list)
    end: dict[str, Any] = field(default_factory=dict)
    drawn: int = 0
    drawn_while_held: int = 0
    """The most that it told until it was let go on."""
    billed_while_held: float = 0
    held: int = 0
    memory: ResidentMemory = field(default_factory=ResidentMemory)
    said: str = ""
    _stdin: asyncio.StreamWriter | None = None

    def take(self, event: dict[str, Any]) -> None:
        """One line of it. Raises DriverFailed for one that there is not."""
        match event.get("event"):
            case "answer":
                self.answers.append(event)
                self.memory.begin()
            case "reconnect":
                self.reconnects.append(event)
            case "providers":
                self.providers = list(event["names"])
            case "drawn":
                self.drawn = max(self.drawn, event["count"])
            case "holding":
                self.held += 1
            case "end":
                self.end = event
            case other:
                raise DriverFailed(f"there is no event {other!r}")

    def reached(self, event: Event) -> bool:
        """Whether the cause of an event of the scenario is there."""
        if event.answers is not None:
            return len(self.answers) >= event.answers
        if event.reconnects is not None:
            return len(self.reconnects) >= event.reconnects
        return self.held > 0

    def go_on(self) -> None:
        """Lets a driver that holds go on."""
        assert self._stdin is not None
        self.drawn_while_held = self.drawn
        self._stdin.write(b"\n")


async def run_driver(
    command: Sequence[str],
    told: dict[str, Any],
    folder: Path,
    events: Sequence[Event],
    act: Act,
    *,
    limit_s: float = RUN_MAX_S,
) -> DriverRun:
    """Runs it to its end, and does what the events say on the way. Raises DriverFailed, or what ``act`` raises.

    It is killed after ``limit_s`` seconds.
    """
    file, words = folder / "driver.json", folder / "driver.err"
    file.write_text(json.dumps(told, ensure_ascii=False), encoding="utf-8")
    run = DriverRun()
    with words.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *command, str(file), limit=_LINE_MAX_BYTES,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=errors,
        )  # fmt: skip
    run._stdin = process.stdin
    try:
        async with asyncio.timeout(limit_s), asyncio.TaskGroup() as tasks:
            watch = tasks.create_task(run.memory.watch(process.pid))
            tasks.create_task(_follow(process, run, list(events), act))
            status = await process.wait()
            watch.cancel()
    except TimeoutError:
        raise DriverFailed(f"no end within {limit_s:.0f} s: {_state(run)}\n{_last_words(words)}") from None
    except ExceptionGroup as group:
        raise group.exceptions[0] from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        if process.stdin is not None:
            process.stdin.close()
            with suppress(OSError):
                await process.stdin.wait_closed()
    run.said = _last_words(words)
    if status or not run.end:
        raise DriverFailed(f"it ended with status {status}: {_state(run)}\n{run.said}")
    return run


async def _follow(process: asyncio.subprocess.Process, run: DriverRun, events: list[Event], act: Act) -> None:
    """Takes its lines; events of the scenario happen one after the other, while more lines are taken."""
    assert process.stdout is not None
    due: asyncio.Queue[Event | None] = asyncio.Queue()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_happen(due, run, act))
        async for line in process.stdout:
            try:
                run.take(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise DriverFailed(f"no event of the protocol: {line[:300]!r}") from error
            for event in [event for event in events if run.reached(event)]:
                events.remove(event)
                due.put_nowait(event)
        due.put_nowait(None)
    if events and run.end:
        raise DriverFailed(f"it ended before {events[0].model_dump(exclude_defaults=True)}: {_state(run)}")


async def _happen(due: asyncio.Queue[Event | None], run: DriverRun, act: Act) -> None:
    while (event := await due.get()) is not None:
        for action in event.do:
            await act(action, run)


def _state(run: DriverRun) -> str:
    return (
        f"{len(run.answers)} answers, {len(run.reconnects)} reconnects, {run.held} holds, end {run.end or 'not told'}"
    )


def _last_words(file: Path) -> str:
    return file.read_text(errors="replace")[-_LAST_WORDS:]
