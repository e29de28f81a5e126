"""The recognizer in virtual time: what is shared, what it says of it, and what an item keeps when a provider fails."""

from __future__ import annotations

import asyncio

import pytest

from ocr_gateway.errors import (
    DeadlineUnreachable,
    FieldInvalid,
    ImageUndecodable,
    ProviderTimeout,
    ProviderUnavailable,
)
from ocr_gateway.model import (
    CacheOutcome,
    Caller,
    Fallback,
    Feature,
    Page,
    Priority,
    ProviderCall,
    Quota,
    Recognition,
    Trail,
)
from tests.fakes.recognizer_desk import Desk, Reader, page
from tests.fakes.virtual_time import now, run_virtual

MISS, COALESCED = CacheOutcome.MISS, CacheOutcome.COALESCED


async def unsure(call: ProviderCall) -> Page:
    return page(0.2)


def caller(name: str) -> Caller:
    return Caller("", name)


def test_a_leader_that_leaves_hands_the_account_on() -> None:
    """The call that outlives the one who began it is reported once, by one who waits for its end."""

    async def main() -> tuple[Trail, list[Recognition]]:
        desk, left = Desk(Reader()), Trail()
        leader = desk.ask(trail=left, timeout_s=0.5)
        await asyncio.sleep(0.1)
        others = [desk.ask(caller=caller(str(number))) for number in range(3)]
        with pytest.raises(ProviderTimeout):
            await leader
        return left, await asyncio.gather(*others)

    left, found = run_virtual(main())
    assert sum(each.attempts for each in found) + left.attempts == 1
    assert sum(each.billed_units for each in found) + left.billed_units == 1.0
    assert [each.cache for each in found] == [MISS, COALESCED, COALESCED]


def test_a_call_that_fails_is_accounted_for_once() -> None:
    """Who leads says how many attempts there were; who waited with it says none."""

    async def main() -> list[Trail]:
        async def down(call: ProviderCall) -> Page:
            raise ProviderUnavailable("first", "down")

        desk, trails = Desk(Reader(read=down)), [Trail() for _ in range(3)]
        tasks = [desk.ask(trail=trail) for trail in trails]
        await asyncio.gather(*tasks, return_exceptions=True)
        return trails

    assert [trail.attempts for trail in run_virtual(main())] == [6, 0, 0]


def test_an_urgent_caller_is_not_held_up_by_who_asked_before() -> None:
    """An image in the middle of a long queue has its turn with the urgent one of those who wait for it."""

    async def main() -> float:
        desk = Desk(Reader(quota=Quota(requests_per_second=1)))
        bulk = [desk.ask(number, caller=caller("bulk"), priority=Priority.LOW) for number in range(100)]
        await asyncio.sleep(1)
        began = now()
        await desk.ask(90, caller=caller("urgent"), priority=Priority.HIGH)
        took_s = now() - began
        for each in bulk:
            each.cancel()
        await asyncio.gather(*bulk, return_exceptions=True)
        return took_s

    assert run_virtual(main()) < 5


def test_another_callers_image_takes_that_callers_turn() -> None:
    """Also at one priority; and the image is read once."""

    async def main() -> tuple[float, int]:
        reader = Reader(quota=Quota(requests_per_second=1))
        desk = Desk(reader)
        bulk = [desk.ask(number, caller=caller("bulk")) for number in range(60)]
        await asyncio.sleep(1)
        began = now()
        await desk.ask(50, caller=caller("single"))
        took_s = now() - began
        await asyncio.gather(*bulk)
        return took_s, len(reader.calls)

    took_s, calls = run_virtual(main())
    assert took_s < 5
    assert calls == 60


@pytest.mark.parametrize("end", ["undecodable", "option", "deadline", "timeout"])
def test_a_result_that_was_paid_for_is_not_lost_by_asking_further(end: str) -> None:
    """A result of low confidence is the answer when the next provider, asked for a surer one, has none."""

    async def slow(call: ProviderCall) -> Page:
        if end == "undecodable":
            raise ImageUndecodable("not for this one")
        await asyncio.sleep(100)
        return page()

    def refuse(call: ProviderCall) -> None:
        if end == "option":
            raise FieldInvalid("recognition.provider_options", "not of this one")

    async def main() -> Recognition:
        quota = Quota(requests_per_second=0.01) if end == "deadline" else Quota()
        second = Reader("second", slow, quota, refuse=refuse)
        desk = Desk(Reader(read=unsure), second, escalate_below=0.5)
        if end == "deadline":
            desk.ask(2, provider="second")
            await asyncio.sleep(1)
        return await desk.ask(timeout_s=10)

    found = run_virtual(main())
    assert (found.provider, found.billed_units) == ("first", 1.0)
    assert found.confidence == pytest.approx(0.2)
    assert [each.provider for each in found.fallbacks] == ["second"]


def test_a_provider_whose_queue_is_too_long_is_passed_over() -> None:
    """An item that cannot be in time at one provider is, at the next; DEADLINE_UNREACHABLE when at none."""

    async def main() -> Recognition:
        desk = Desk(
            Reader(quota=Quota(requests_per_second=0.1)), Reader("second", quota=Quota(requests_per_second=0.1))
        )
        await desk.ask(1, provider="first")
        found = await desk.ask(2, timeout_s=5)
        with pytest.raises(DeadlineUnreachable):
            await desk.ask(3, timeout_s=5)
        return found

    found = run_virtual(main())
    assert (found.provider, found.fallbacks) == ("second", (Fallback("first", "DEADLINE_UNREACHABLE"),))


def test_what_one_feature_refuses_is_not_paid_for_by_another() -> None:
    """Options of several features are all checked before the first call is made."""

    async def main() -> Reader:
        def refuse(call: ProviderCall) -> None:
            if call.feature is Feature.TEXT:
                raise FieldInvalid("recognition.provider_options", "of tables only")

        reader = Reader(features=(Feature.TABLE, Feature.TEXT), refuse=refuse)
        with pytest.raises(FieldInvalid):
            await Desk(reader).ask(features=frozenset({Feature.TABLE, Feature.TEXT}))
        return reader

    assert run_virtual(main()).calls == []


def test_a_deadline_that_passes_after_an_attempt_is_the_providers() -> None:
    """Where one provider has failed and there is no time for the next one, something was spent: PROVIDER_TIMEOUT."""

    async def main() -> None:
        async def down(call: ProviderCall) -> Page:
            raise ProviderUnavailable("first", "down")

        desk = Desk(Reader(read=down), Reader("second", quota=Quota(requests_per_second=0.01)))
        await desk.ask(2, provider="second")
        with pytest.raises(ProviderTimeout):
            await desk.ask(1, timeout_s=10)

    run_virtual(main())


def test_each_call_of_an_item_says_what_else_is_asked_of_its_image() -> None:
    """So that an engine which reads the page for one feature need not read it again for the next."""

    async def main() -> None:
        text, table = Feature.TEXT, Feature.TABLE
        reader = Reader(features=(text, table))
        desk = Desk(reader)
        await desk.ask(1, features=frozenset({text, table}))
        await desk.ask(2)
        asked = [(call.feature, call.also) for call in reader.calls]
        assert sorted(asked[:2], key=lambda pair: pair[0].value) == [
            (table, frozenset({text})),
            (text, frozenset({table})),
        ]
        assert asked[2:] == [(text, frozenset())]

    run_virtual(main())
