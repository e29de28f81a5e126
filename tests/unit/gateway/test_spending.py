"""What calls cost and who bears it: reservations over attempts, fallbacks, and items that are read together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ocr_gateway.errors import (
    FieldInvalid,
    ImageUndecodable,
    ProviderBudgetSpent,
    ProviderThrottled,
    ProviderUnavailable,
    TenantBudgetSpent,
)
from ocr_gateway.model import (
    Budget,
    CacheOutcome,
    CachePolicy,
    Caller,
    Fallback,
    Feature,
    FeatureSupport,
    ImageLimits,
    Page,
    PagePreference,
    ProviderCall,
    Trail,
)
from ocr_gateway.provider_messages import provider_message
from ocrmux.gateway.v1 import gateway_pb2
from tests.fakes.recognizer_desk import Desk, Reader, in_a_second, page
from tests.fakes.spendings import spending
from tests.fakes.virtual_time import now, run_virtual

PROVIDER = "provider:first"
DAY_S = 86_400
A, B = Caller("a", "1"), Caller("b", "2")


def used(desk: Desk, account: str = PROVIDER) -> float:
    return desk.spending.ledger.use_of(account).units_used


def in_turn(*outcomes: Exception | None) -> Callable[[ProviderCall], Awaitable[Page]]:
    """Reads as told, call after call, each after a second; the image is sent before."""
    rest = iter(outcomes)

    async def read(call: ProviderCall) -> Page:
        call.begin()
        await asyncio.sleep(1)
        outcome = next(rest, None)
        if outcome is not None:
            raise outcome
        return page()

    return read


def unavailable(*, may_be_billed: bool) -> ProviderUnavailable:
    return ProviderUnavailable("first", "a lost connection", may_be_billed=may_be_billed)


def test_a_spent_budget_is_told_until_the_end_of_its_day() -> None:
    """The third of three calls under a budget of two is refused, before anything is sent; the next day it is made."""

    async def main() -> None:
        desk = Desk(Reader(price=0.5), budgets={PROVIDER: Budget(units_per_day=2)})
        for number in (1, 2):
            found = await desk.ask(number)
            assert (found.billed_units, found.cost, found.currency) == (1.0, 0.5, "CNY")
        with pytest.raises(ProviderBudgetSpent) as refused:
            await desk.ask(3)
        assert refused.value.retry_after_s == pytest.approx(DAY_S - now())
        assert refused.value.quota_subject == PROVIDER
        assert used(desk) == 2
        await asyncio.sleep(DAY_S)
        await desk.ask(3)
        assert used(desk) == 1

    run_virtual(main())


def test_a_budget_in_money_counts_prices() -> None:
    """A budget of 1.0 bears three calls at 0.3, not four."""

    async def main() -> None:
        desk = Desk(Reader(price=0.3), budgets={PROVIDER: Budget(cost_per_day=1.0)})
        found = await asyncio.gather(*(desk.ask(number) for number in range(4)), return_exceptions=True)
        assert [isinstance(each, ProviderBudgetSpent) for each in found].count(True) == 1
        assert desk.spending.ledger.use_of(PROVIDER).cost_used == pytest.approx(0.9)

    run_virtual(main())


@pytest.mark.parametrize(
    ("budgets", "reason"),
    [
        ({PROVIDER: Budget(units_per_day=1)}, "PROVIDER_QUOTA"),
        ({"tenant:a": Budget(units_per_day=1)}, "TENANT_QUOTA"),
        ({"tenant:*": Budget(units_per_day=1)}, "TENANT_QUOTA"),
    ],
)
def test_the_next_provider_that_costs_nothing_answers(budgets: dict[str, Budget], reason: str) -> None:
    """A call that is billed nothing needs no budget; the answer says why the first provider was passed over."""

    async def main() -> None:
        desk = Desk(Reader("first"), Reader("second", units=0.0), budgets=budgets)
        await desk.ask(1, caller=A)
        found = await desk.ask(2, caller=A)
        assert (found.provider, found.fallbacks) == ("second", (Fallback("first", reason),))
        assert (found.cost, found.currency, found.billed_units) == (0.0, "", 0.0)

    run_virtual(main())


def test_a_failed_call_that_may_be_billed_stays_spent() -> None:
    """Its retry needs a unit of its own: after two such failures and a success three are spent, and one is told."""

    async def main() -> None:
        read = in_turn(unavailable(may_be_billed=True), unavailable(may_be_billed=True))
        desk = Desk(Reader(read=read), budgets={PROVIDER: Budget(units_per_day=10)})
        found = await desk.ask()
        assert (found.attempts, found.billed_units, used(desk)) == (3, 1.0, 3)

    run_virtual(main())


@pytest.mark.parametrize("failure", [unavailable(may_be_billed=False), ProviderThrottled("first", "slower")])
def test_a_failed_call_that_was_not_billed_lends_its_unit_to_the_retry(failure: Exception) -> None:
    """A budget of one unit bears it."""

    async def main() -> None:
        desk = Desk(Reader(read=in_turn(failure, failure)), budgets={PROVIDER: Budget(units_per_day=1)})
        found = await desk.ask()
        assert (found.attempts, found.billed_units, used(desk)) == (3, 1.0, 1)

    run_virtual(main())


def test_a_retry_that_the_budget_does_not_bear_is_not_made() -> None:
    """The item says what was tried; the turn goes to others and no call is counted for it."""

    async def main() -> None:
        reader = Reader(read=in_turn(unavailable(may_be_billed=True)))
        desk = Desk(reader, budgets={PROVIDER: Budget(units_per_day=1)})
        trail = Trail()
        with pytest.raises(ProviderBudgetSpent):
            await desk.ask(1, trail)
        assert (trail.provider, trail.attempts, len(reader.calls), used(desk)) == ("first", 1, 1, 1)
        (lane,) = desk.lanes.values()
        assert (lane.in_progress, lane.waiting) == (0, 0)

    run_virtual(main())


@pytest.mark.parametrize("error", [ImageUndecodable("damaged"), FieldInvalid("recognition.languages", "unknown")])
def test_a_refused_image_costs_nothing(error: Exception) -> None:
    """Nor does one that never gets a turn."""

    async def main() -> None:
        desk = Desk(Reader(read=in_turn(error)), budgets={PROVIDER: Budget(units_per_day=1)})
        with pytest.raises(type(error)):
            await desk.ask()
        assert used(desk) == 0

    run_virtual(main())


@pytest.mark.parametrize(("after_s", "spent"), [(0.0, 0), (0.5, 1)])
def test_who_leaves_pays_for_what_was_sent(after_s: float, spent: int) -> None:
    """An item that is given up before its image is sent costs nothing; after, it may be billed, and counts."""

    async def late(call: ProviderCall) -> Page:
        await asyncio.sleep(0.25)
        call.begin()
        return await in_a_second(call)

    async def main() -> None:
        desk = Desk(Reader(read=late), budgets={PROVIDER: Budget(units_per_day=9)})
        task = desk.ask()
        await asyncio.sleep(after_s + 0.1)
        assert used(desk) == 1
        task.cancel()
        await asyncio.wait([task])
        assert used(desk) == spent

    run_virtual(main())


def test_a_reservation_that_waited_past_midnight_is_of_the_new_day() -> None:
    """The call is billed then, so the new day's budget bears it."""

    async def main() -> None:
        desk = Desk(Reader(read=in_turn(ProviderThrottled("first", "later", retry_after_s=20.0))), budgets=budgets)
        await asyncio.sleep(DAY_S - now() - 10)
        await desk.ask()
        assert used(desk) == 1
        use = desk.spending.ledger.use_of(PROVIDER)
        assert use.units_left == 1
        await desk.ask(2)
        with pytest.raises(ProviderBudgetSpent):
            await desk.ask(3)

    budgets = {PROVIDER: Budget(units_per_day=2)}
    run_virtual(main())


def test_a_provider_that_bills_nothing_for_an_image_gives_its_unit_back() -> None:
    """As one that found no document on it."""

    async def main() -> None:
        reader = Reader(billed=0.0, price=2.0)
        desk = Desk(reader, budgets={PROVIDER: Budget(units_per_day=1)})
        for number in range(3):
            found = await desk.ask(number)
            assert (found.billed_units, found.cost, found.currency) == (0.0, 0.0, "")
        assert used(desk) == 0

    run_virtual(main())


def test_what_the_cache_answers_costs_nothing() -> None:
    """A spent budget bears it."""

    async def main() -> None:
        desk = Desk(Reader(price=1.0), budgets={PROVIDER: Budget(units_per_day=1)})
        await desk.ask()
        found = await desk.ask()
        assert (found.cache, found.cost, found.currency) == (CacheOutcome.MEMORY, 0.0, "")
        with pytest.raises(ProviderBudgetSpent):
            await desk.ask(cache_policy=CachePolicy.BYPASS)

    run_virtual(main())


def test_one_of_those_who_ask_together_pays() -> None:
    """Three items of one image cost one unit, of the tenant that asked first."""

    async def main() -> None:
        budgets = {"tenant:a": Budget(units_per_day=5), "tenant:b": Budget(units_per_day=5)}
        desk = Desk(Reader(price=1.0), budgets=budgets)
        found = await asyncio.gather(desk.ask(caller=A), desk.ask(caller=B), desk.ask(caller=A))
        assert sum(each.cost for each in found) == 1.0
        assert (used(desk, "tenant:a"), used(desk, "tenant:b")) == (1, 0)

    run_virtual(main())


def test_a_tenant_without_budget_does_not_spoil_the_call_for_another() -> None:
    """Who waits with it pays for the call, and has it; so do those of its own that wait with that one, for nothing."""

    async def main() -> Any:
        reader = Reader(read=in_turn(ProviderThrottled("first", "later")))
        desk = Desk(reader, budgets={"tenant:a": Budget(units_per_day=0.5), "tenant:b": Budget(units_per_day=5)})
        found = await asyncio.gather(desk.ask(caller=A), desk.ask(caller=B), desk.ask(caller=B), return_exceptions=True)
        assert isinstance(found[0], TenantBudgetSpent)
        assert (found[0].tenant, found[0].quota_subject) == ("a", "tenant:a")
        assert [each.billed_units for each in found[1:] if not isinstance(each, BaseException)] == [1.0, 0.0]
        assert (used(desk, "tenant:a"), used(desk, "tenant:b")) == (0, 1)

    run_virtual(main())


def test_the_list_of_providers_says_what_one_costs_and_what_is_spent() -> None:
    """Price and currency of each feature, and the budget as this replica knows it; a provider without has none."""

    async def main() -> None:
        priced, free = Reader("first", price=0.3), Reader("second")
        desk = Desk(priced, free, budgets={PROVIDER: Budget(units_per_day=5, cost_per_day=2.0)})
        await desk.ask()
        message = provider_message(priced, desk.router.lanes_of(priced), desk.spending)
        (feature,) = message.features
        assert (feature.price_per_unit, feature.currency) == (0.3, "CNY")
        assert message.budget == gateway_pb2.Budget(units_per_day=5, units_used=1, cost_per_day=2, cost_used=0.3)
        other = provider_message(free, desk.router.lanes_of(free), desk.spending)
        assert not other.HasField("budget")
        assert (other.features[0].price_per_unit, other.features[0].currency) == (0.0, "")

    run_virtual(main())


@pytest.mark.parametrize(
    ("budget", "words"), [(Budget(units_per_day=2), "of 2 units a day"), (Budget(cost_per_day=0.3), "of 0.3 CNY a day")]
)
def test_the_list_of_providers_says_when_a_budget_is_spent(budget: Budget, words: str) -> None:
    """The provider serves as long as its budget bears one more call, and again the next day."""

    async def main() -> None:
        reader = Reader(price=0.1, units=1.0 if budget.units_per_day else 1.5)
        desk = Desk(reader, budgets={PROVIDER: budget})

        def message() -> gateway_pb2.Provider:
            return provider_message(reader, desk.router.lanes_of(reader), desk.spending)

        await desk.ask(1)
        assert (message().state, message().state_detail) == (gateway_pb2.PROVIDER_STATE_SERVING, "")
        await desk.ask(2)
        spent = message()
        assert spent.state == spent.features[0].state == gateway_pb2.PROVIDER_STATE_QUOTA_SPENT
        assert words in spent.state_detail
        await asyncio.sleep(DAY_S)
        assert message().state == gateway_pb2.PROVIDER_STATE_SERVING

    run_virtual(main())


def test_an_image_that_goes_out_after_its_item_has_left_is_paid_for() -> None:
    """As one of several in a call that is sent for the others' sake: once, however often it is told."""

    async def main() -> None:
        money = spending({PROVIDER: Budget(units_per_day=5)})
        support = FeatureSupport(ImageLimits(), PagePreference.UNTOUCHED, units_per_call=1.0)
        call = money.of_call("first", Feature.TEXT, support, "", Trail())
        await call.secure()
        call.failed(asyncio.CancelledError())
        call.close()
        assert money.ledger.use_of(PROVIDER).units_used == 0
        for _ in range(2):
            call.sending()
        assert money.ledger.use_of(PROVIDER).units_used == 1

    run_virtual(main())


def test_what_is_billed_without_being_expected_counts() -> None:
    """A call that should have cost nothing and did: the budget knows of it afterwards."""

    async def main() -> None:
        desk = Desk(Reader(units=0.0, billed=2.0), budgets={PROVIDER: Budget(units_per_day=3)})
        await desk.ask()
        assert used(desk) == 2

    run_virtual(main())


def test_the_smallest_budget_is_a_limit() -> None:
    """Less than a millionth of a unit bears no call; it is not the same as none."""

    async def main() -> None:
        desk = Desk(Reader(), budgets={PROVIDER: Budget(units_per_day=1e-9)})
        with pytest.raises(ProviderBudgetSpent):
            await desk.ask()

    run_virtual(main())


def test_a_cost_is_a_decimal_sum() -> None:
    """Three units at a tenth cost 0.3, and so do one at a tenth and one at two."""

    async def main() -> None:
        desk = Desk(Reader(price=0.1, billed=3.0))
        assert (await desk.ask()).cost == 0.3
        low = Desk(
            Reader("first", price=0.1),
            Reader("second", price=0.2, read=surer),
            escalate_below=0.95,
        )
        assert (await low.ask()).cost == 0.3

    async def surer(_: ProviderCall) -> Page:
        return page(0.99)

    run_virtual(main())
