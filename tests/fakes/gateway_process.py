"""``python -m tests.fakes.gateway_process``: the gateway as a process, with a provider that waits instead of reading.

FAKE_PROVIDER_DELAY_S is the wait of each call, FAKE_PROVIDER_CONCURRENCY the calls at one time, FAKE_PROVIDER_LINES the
lines of each page.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace

from ocr_gateway.composition import GatewayService, build_gateway
from ocr_gateway.model import Page, ProviderCall
from ocr_gateway.settings import GatewaySettings
from rpc_runtime.drain import DrainSignal
from rpc_runtime.lifecycle import end_process, run_service
from tests.fakes.providers import ScriptedProvider, page_saying

DELAY_S = float(os.environ.get("FAKE_PROVIDER_DELAY_S", "0"))
CONCURRENCY = int(os.environ.get("FAKE_PROVIDER_CONCURRENCY", "0"))
LINES = int(os.environ.get("FAKE_PROVIDER_LINES", "1"))


async def waiting(call: ProviderCall) -> Page | None:
    """Waits, then says the extent, on each line."""
    if DELAY_S:
        await asyncio.sleep(DELAY_S)
    page = page_saying(f"{call.width}x{call.height}", call)
    return replace(page, blocks=page.blocks * LINES)


def build(settings: GatewaySettings, drain: DrainSignal) -> GatewayService:
    """The gateway with that provider alone."""
    return build_gateway(settings, drain, [ScriptedProvider(waiting, max_concurrency=CONCURRENCY)])


if __name__ == "__main__":
    end_process(run_service("ocr_gateway", GatewaySettings, build))
