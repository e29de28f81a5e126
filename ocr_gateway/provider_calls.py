"""One call to a provider, by way of its lane."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from ocr_gateway.lanes.turn import Turn
from ocr_gateway.model import ProviderCall, ProviderResult, Trail
from ocr_gateway.routing import Candidate


async def make_call(call: ProviderCall, candidate: Candidate, turn: Turn, trail: Trail) -> ProviderResult:
    """The call's result, by way of its lane."""
    provider = candidate.provider

    async def attempt(begin: Callable[[], None]) -> ProviderResult:
        trail.provider, trail.model = provider.description.name, provider.status.model
        return await _as_promised(provider.recognize(replace(call, begin=begin)))

    return await candidate.lanes[call.feature].call(turn, attempt, trail)


async def _as_promised(recognize: Awaitable[ProviderResult]) -> ProviderResult:
    """One attempt. Whatever a provider raises comes out as an ``Exception``, so that an item always gets its answer."""
    try:
        return await recognize
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise RuntimeError("a provider cancelled itself") from error
    except TimeoutError as error:
        raise RuntimeError("a provider let its own time-out escape") from error  # else it would be taken for ours
    except Exception:
        raise
    except BaseException as error:
        raise RuntimeError(f"a provider raised {type(error).__name__}") from error
