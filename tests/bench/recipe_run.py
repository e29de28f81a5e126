"""A run of a textbook recipe as a process of its own, and what came of a run, the recipe's or ours."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from typing import Any

from tests.fakes.redis_server import RedisServer
from tests.fakes.standin.process import StandInProcess

_TIMEOUT_S = 1_800.0


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What became of the images, and what the provider saw of it."""

    seconds: float
    right: int
    lost: int
    wrong: int
    seen: dict[str, Any]

    @property
    def per_second(self) -> float:
        """Images, the lost ones among them."""
        return (self.right + self.lost + self.wrong) / self.seconds


async def run_recipe(module: str, standin: StandInProcess, redis: RedisServer, *arguments: str) -> RunOutcome:
    """``python -m module URL REDIS …``, which prints a report of its Recipe. Raises RuntimeError where it fails."""
    words = (module, standin.url, f"127.0.0.1:{redis.port}", *arguments)
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", *words, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"{module} ended with {process.returncode}")
    said = json.loads(output)
    seen = await standin.stats()
    return RunOutcome(said["seconds"], said["right"], said["lost"], said["wrong"], seen)
