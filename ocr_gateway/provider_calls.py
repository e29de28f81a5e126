"""One call to a provider, by way of its lane."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from typing import TypeVar

from ocr_gateway.lanes.permit import Permit
from ocr_gateway.lanes.turn import Turn
from ocr_gateway.model import ProviderCall, ProviderResult, Trail, UnsentBody
from ocr_gateway.providers.base import BatchProvider, Provider
from ocr_gateway.routing import Candidate
from ocr_gateway.spending import Spending

ResultT = TypeVar("ResultT")


class ProviderCalls:
    """Makes calls: each with its turn in the lane, and with what it is expected to cost set aside before."""

    def __init__(self, spending: Spending) -> None:
        self._spending = spending

    async def make(self, call: ProviderCall, candidate: Candidate, turn: Turn, trail: Trail) -> ProviderResult:
        """The call's result, by way of its lane.

        Raises what the lane does, and ProviderBudgetSpent or TenantBudgetSpent before anything is sent.
        """
        provider, description = candidate.provider, candidate.provider.description
        support = description.features[call.feature]
        money = self._spending.of_call(description.name, call.feature, support, turn.caller.tenant, trail)

        async def attempt(permit: Permit) -> ProviderResult:
            trail.provider, trail.model = description.name, provider.status.model

            def begin() -> None:
                permit()
                money.sending()

            at_begin = begin if permit.batch is None else money.sending
            try:
                await money.secure()
                result = await _one_attempt(provider, replace(call, begin=at_begin), permit)
            except BaseException as error:
                if permit.batch is not None and isinstance(error, asyncio.CancelledError):
                    money.left_aboard()
                    permit.batch.when_over(money.landed)
                money.failed(error)
                raise
            money.billed(result)
            return result

        try:
            await money.secure()
            return await candidate.lanes[call.feature].call(turn, attempt, trail, size=len(call.image))
        finally:
            money.close()


async def _one_attempt(provider: Provider, call: ProviderCall, permit: Permit) -> ProviderResult:
    if permit.batch is None:
        return await _as_promised(provider.recognize(call))
    one_of_several = replace(call, unsent=UnsentBody())  # the next attempt may be with others
    return await _as_promised(permit.batch.join(one_of_several, lambda calls: _together(provider, calls, permit)))


async def _together(
    provider: Provider, calls: Sequence[ProviderCall], permit: Permit
) -> Sequence[ProviderResult | Exception]:
    """One attempt for all of them, by the permit that they share."""
    if not isinstance(provider, BatchProvider):
        raise TypeError(f"the provider {provider.description.name!r} does not read several images together")

    def begin() -> None:
        permit()  # once for all of them: where it is too late, nobody's money has been sent
        for call in calls:
            call.begin()

    return await _as_promised(provider.recognize_together([replace(call, begin=begin) for call in calls]))


async def _as_promised(recognize: Awaitable[ResultT]) -> ResultT:
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
