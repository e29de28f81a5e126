"""The stand-in as a process of its own, and its controls."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

_START_S = 30.0
_STOP_S = 10.0
ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True, slots=True)
class StandInProcess:
    """A running stand-in. ``url`` is what a provider takes as its ``endpoint``."""

    process: asyncio.subprocess.Process
    address: str
    log: Path

    @property
    def url(self) -> str:
        """``http://HOST:PORT``."""
        return f"http://{self.address}"

    async def configure(self, *, fresh: bool = False, **changes: Any) -> None:
        """Changes settings by their names; ``fresh`` takes back all earlier changes, ``expire_tokens`` is a command."""
        await self._ask("POST", "config", {**changes, "fresh": fresh})

    async def reset(self) -> None:
        """Counts from 0."""
        await self._ask("POST", "reset", {})

    async def stats(self) -> dict[str, Any]:
        """All its counts."""
        return await self._ask("GET", "stats", None)

    async def _ask(self, method: str, what: str, body: dict[str, Any] | None) -> dict[str, Any]:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10), trust_env=False) as session,
            session.request(
                method, f"{self.url}/control/{what}", json=body, headers={"Connection": "close"}
            ) as response,
        ):
            text = await response.text()
            if response.status != 200:
                raise ValueError(f"the stand-in refuses: {text}")
            answer: dict[str, Any] = json.loads(text)
            return answer


@asynccontextmanager
async def stand_in_process(
    folder: Path, *, vendor: str = "baidu", listen: str = "127.0.0.1:0", keep_alive_s: float = 75.0, **settings: Any
) -> AsyncIterator[StandInProcess]:
    """Starts it with these settings; ends it by SIGTERM, and kills it when that does not help."""
    ready, log = folder / f"{vendor}_standin.addr", folder / f"{vendor}_standin.log"
    ready.unlink(missing_ok=True)
    environment = {
        **os.environ,
        "STANDIN_VENDOR": vendor,
        "STANDIN_LISTEN": listen,
        "STANDIN_READY_FILE": str(ready),
        "STANDIN_KEEP_ALIVE_S": str(keep_alive_s),
        "STANDIN_SETTINGS": json.dumps(settings),
    }
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.fakes.standin",
            cwd=ROOT, stdout=output, stderr=output, env=environment,
        )  # fmt: skip
    try:
        yield StandInProcess(process, await _address(process, ready, log), log)
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(_STOP_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


async def _address(process: asyncio.subprocess.Process, ready: Path, log: Path) -> str:
    async with asyncio.timeout(_START_S):
        while not ready.exists():  # noqa: ASYNC240 - another process makes the file
            if process.returncode is not None:
                raise RuntimeError(f"ended with {process.returncode}:\n{log.read_text()}")  # noqa: ASYNC240
            await asyncio.sleep(0.02)
    return ready.read_text()  # noqa: ASYNC240
