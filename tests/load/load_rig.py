"""What a load runs against: both services and a provider that stands in, as processes on free loopback ports."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.process_watch import Members, alone, children_of
from tests.fakes.fleet import Fleet, running_fleet
from tests.fakes.processes import ServiceUnderTest, service

QUOTA_PER_S = 5000
LATENCY_S = 0.02


@dataclass(slots=True)
class LoadRig:
    """The running pair; ``driver_pid`` is who loads it now."""

    fleet: Fleet
    preprocess: ServiceUnderTest
    driver_pid: int = 0

    @property
    def address(self) -> str:
        """Of the preprocess service."""
        return self.preprocess.address

    def members(self) -> dict[str, Members]:
        """The processes by what they are, for ``watching``."""
        preprocess, gateway = self.preprocess.process.pid, self.fleet.gateways[0].process.pid
        return {
            "preprocess service": alone(preprocess),
            "page workers": children_of(preprocess),
            "gateway": alone(gateway),
            "provider": alone(self.fleet.standin.process.pid),
            "driver": lambda: alone(self.driver_pid)() if self.driver_pid else [],
        }

    async def provider_calls(self) -> int:
        """Images that the provider has read since it was last asked."""
        calls = int((await self.fleet.standin.stats())["billed_units"])
        await self.fleet.standin.reset()
        return calls


@asynccontextmanager
async def load_rig(folder: Path) -> AsyncIterator[LoadRig]:
    """The gateway may ask for 5000 images a second, and the provider takes 20 ms for each: neither is what limits."""
    baidu = {"features": {"text": {"quota": {"requests_per_second": QUOTA_PER_S}}}}
    async with (
        running_fleet(folder, standin={"latency_s": LATENCY_S, "quota": QUOTA_PER_S}, baidu=baidu) as fleet,
        service(
            "preprocess_service",
            "PREPROCESS_",
            folder,
            gateway_target=fleet.gateways[0].address,
            log_level="warning",
        ) as preprocess,
    ):
        yield LoadRig(fleet, preprocess)
