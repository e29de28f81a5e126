"""The parent's side: a child process a decoder, watched for crashes, hangs and memory, and begun again after each."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.fuzz.blackboard import Blackboard, Work

CONTAINED = ("crash", "hang", "memory")
READ_FILE = "tests.fuzz.targets:read_file"
_LOOK_EVERY_S = 0.1
_START_S = 60.0
_MAX_LINE_BYTES = 4 * 1024 * 1024
_HANG_BY_CLOCK = 10
_RSS_SLACK_MB = 200.0
"""What code and shared memory may take besides what the limit counts."""
_MOST_DEATHS = 200
"""A decoder whose child died so often is not fuzzed on."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to fuzz. It ends after ``time_s`` or, where given, after so many executions of each decoder.

    A file hangs that takes ``hang_s`` of processor time, or ten times as long by the clock: with more children than
    cores each waits for the others.
    """

    time_s: float
    findings: Path
    seed: int = 1
    executions: int | None = None
    hang_s: float = 10.0
    memory_mb: int = 1500
    target: str = READ_FILE


@dataclass(slots=True)
class Finding:
    """What no decoder should do: an unexpected exception, a crash, a hang, or a want of memory over the limit."""

    kind: str
    detail: str
    path: str

    @property
    def is_contained(self) -> bool:
        """Whether the service's worker processes make it a refusal of that one file: a process that is ended by a
        signal, takes too long, or is refused memory. An exception that is not expected is a bug of ours.
        """
        return self.kind in CONTAINED


@dataclass(slots=True)
class Tally:
    """What came of one decoder's files. ``lines`` are those of Python that one child reached at most."""

    decoder: str
    executed: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    peak_rss_mb: float = 0.0
    lines: int = 0
    pool: int = 0
    time_s: float = 0.0

    def count(self, kind: str) -> int:
        """Findings of this kind."""
        return sum(finding.kind == kind for finding in self.findings)

    @property
    def faults(self) -> list[Finding]:
        """The findings that the worker's limits do not contain."""
        return [finding for finding in self.findings if not finding.is_contained]

    def record(self) -> dict[str, object]:
        """All of it, for JSON."""
        findings = [{**asdict(each), "is_contained": each.is_contained} for each in self.findings]
        return {
            "decoder": self.decoder,
            "executed": self.executed,
            "time_s": round(self.time_s, 1),
            "peak_rss_mb": round(self.peak_rss_mb, 1),
            "lines": self.lines,
            "outcomes": dict(self.outcomes.most_common()),
            "findings": findings,
        }

    def take(self, message: Mapping[str, object]) -> None:
        """Adds what a child said."""
        if message["kind"] != "progress":
            self.findings.append(Finding(str(message["kind"]), str(message["detail"]), str(message["path"])))
            return
        self.executed += int(str(message["executed"]))
        outcomes = message["outcomes"]
        assert isinstance(outcomes, dict)
        self.outcomes.update(outcomes)
        self.peak_rss_mb = max(self.peak_rss_mb, float(str(message["peak_rss_mb"])))
        self.lines = max(self.lines, int(str(message["lines"])))
        self.pool = int(str(message["pool"]))


async def fuzz(decoder: str, plan: Plan) -> Tally:
    """Fuzzes one decoder. Never raises for what a child does."""
    tally = Tally(decoder)
    plan.findings.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with TemporaryDirectory(prefix="fuzz-") as folder:
        (Path(folder) / "pool").mkdir()
        first: int | None = 0
        for _ in range(_MOST_DEATHS):
            left_s = plan.time_s - (time.monotonic() - began)
            if first is None or left_s <= 0:
                break
            first = await _Child(decoder, plan, Path(folder), tally).run(first, left_s)
    tally.time_s = time.monotonic() - began
    if tally.peak_rss_mb > plan.memory_mb + _RSS_SLACK_MB:
        tally.findings.append(Finding("unbounded", f"took {tally.peak_rss_mb:.0f} MB in spite of its limit", ""))
    return tally


class _Child:
    """One life of a child."""

    def __init__(self, decoder: str, plan: Plan, folder: Path, tally: Tally) -> None:
        self._decoder = decoder
        self._plan = plan
        self._folder = folder
        self._tally = tally

    async def run(self, first: int, time_s: float) -> int | None:
        """Runs from this execution on, and returns the one after its death; None where it came to its end."""
        board_path = self._folder / "board"
        board_path.unlink(missing_ok=True)
        board = Blackboard(board_path)
        process = await asyncio.create_subprocess_exec(
            *self._command(first, board_path),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=_MAX_LINE_BYTES,
        )
        reader = asyncio.create_task(self._listen(process))
        try:
            return await self._watch(process, board, first, time_s)
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            await reader
            board.close()

    def _command(self, first: int, board: Path) -> list[str]:
        plan = self._plan
        options = {
            "decoder": self._decoder,
            "target": plan.target,
            "findings": plan.findings,
            "pool": self._folder / "pool",
            "board": board,
            "seed": plan.seed,
            "first": first,
            "memory-mb": plan.memory_mb,
        }
        if plan.executions is not None:
            options["executions"] = plan.executions
        return [sys.executable, "-m", "tests.fuzz.child", *(f"--{name}={value}" for name, value in options.items())]

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            with suppress(ValueError):  # the last line of one that was killed
                self._tally.take(json.loads(line))

    async def _watch(
        self, process: asyncio.subprocess.Process, board: Blackboard, first: int, time_s: float
    ) -> int | None:
        deadline = time.monotonic() + time_s
        started = time.monotonic()
        while process.returncode is None:
            if time.monotonic() >= deadline:
                return None
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await process.wait()
            if process.returncode is None and self._hangs(process.pid, board.read(), started):
                return self._died("hang", f"not done after {self._plan.hang_s:g} s", board, first)
        if process.returncode == 0:
            return None
        kind = "crash" if process.returncode < 0 else "unexpected"
        return self._died(kind, f"ended with status {process.returncode}", board, first)

    def _hangs(self, pid: int, work: Work | None, started: float) -> bool:
        if work is None:
            return time.monotonic() - started > _START_S
        by_clock_s = time.monotonic() - work.began_ns / 1e9
        if by_clock_s <= self._plan.hang_s:
            return False
        cpu_s = _cpu_s(pid) - work.began_cpu_ns / 1e9
        return cpu_s > self._plan.hang_s or by_clock_s > self._plan.hang_s * _HANG_BY_CLOCK

    def _died(self, kind: str, detail: str, board: Blackboard, first: int) -> int | None:
        work = board.read()
        if work is None:
            self._tally.findings.append(Finding("unexpected", f"{detail}, before its first file", ""))
            return None
        path = self._plan.findings / f"{self._decoder}-{kind}-{hashlib.sha256(work.content).hexdigest()[:12]}"
        path.write_bytes(work.content)
        self._tally.findings.append(Finding(kind, f"{detail}, at execution {work.number}", str(path)))
        return max(first, work.number + 1)


def _cpu_s(pid: int) -> float:
    """The processor time that a process has taken, 0 for one that has ended (proc_pid_stat(5), fields 14 and 15)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
