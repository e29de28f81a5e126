"""Calls of several items to a provider that reads several images together, by way of its lane."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import structlog

from ocr_gateway.errors import ImageUndecodable, ProviderBudgetSpent, ProviderUnavailable
from ocr_gateway.lanes.lane import Lane, LanePolicy
from ocr_gateway.lanes.local_rate import LocalRate
from ocr_gateway.lanes.turn import Turn
from ocr_gateway.metrics import GatewayMetrics
from ocr_gateway.model import (
    BatchLimits,
    Budget,
    Caller,
    Feature,
    FeatureSupport,
    IdDocument,
    ImageLimits,
    Page,
    PagePreference,
    Priority,
    ProviderCall,
    ProviderResult,
    ProviderState,
    Quota,
    Trail,
)
from ocr_gateway.provider_calls import ProviderCalls
from ocr_gateway.provider_messages import provider_message
from ocr_gateway.providers.base import BatchProvider, Provider
from ocr_gateway.routing import Candidate
from ocrmux.ocr.v1 import recognition_pb2
from tests.fakes.providers import ScriptedProvider
from tests.fakes.spendings import spending
from tests.fakes.virtual_time import now, run_virtual

Answers = Callable[[Sequence[ProviderCall]], list[ProviderResult | Exception]]
NO_QUOTA = Quota()
SUPPORT = FeatureSupport(ImageLimits(), PagePreference.UNTOUCHED, batch=BatchLimits(4), units_per_call=1.0)


def pages(calls: Sequence[ProviderCall]) -> list[ProviderResult | Exception]:
    return [ProviderResult(Page(call.width, 1), billed_units=1.0) for call in calls]


class TogetherProvider(ScriptedProvider):
    """Reads several images in one call, as it is told."""

    def __init__(self, answers: Answers = pages) -> None:
        super().__init__()
        self._answers = answers
        self.together: list[list[ProviderCall]] = []

    async def recognize_together(self, calls: Sequence[ProviderCall]) -> Sequence[ProviderResult | Exception]:
        calls[0].begin()
        self.together.append(list(calls))
        return self._answers(calls)


def a_turn() -> Turn:
    return Turn(Caller(), Priority.NORMAL, 1e6, now() + 1e6)


def candidate_of(provider: Provider, quota: Quota = NO_QUOTA, clock: Callable[[], float] = now) -> Candidate:
    lane = Lane(
        "scripted",
        quota,
        LocalRate(quota, clock=now, wall_clock=now),
        policy=LanePolicy(),
        weight_of=lambda _: 1.0,
        until_ready=provider.until_ready,
        metrics=GatewayMetrics().lane("scripted", Feature.TEXT),
        clock=clock,
        random_source=random.Random(1),
        batch=SUPPORT.batch,
    )
    return Candidate(provider, (SUPPORT,), {Feature.TEXT: lane})


async def asked(provider: Provider, count: int) -> list[tuple[ProviderResult | BaseException, Trail]]:
    """What becomes of so many images, the n-th of which is n px wide."""
    candidate, trails = candidate_of(provider), [Trail() for _ in range(count)]
    turn = a_turn()
    calls = [ProviderCall(b"image", "image/png", number, 1, Feature.TEXT) for number in range(count)]
    made = (
        ProviderCalls(spending()).make(call, candidate, turn, trail) for call, trail in zip(calls, trails, strict=True)
    )
    return list(zip(await asyncio.gather(*made, return_exceptions=True), trails, strict=True))


def test_images_of_several_items_go_in_one_call() -> None:
    """The provider is asked once; each item has its own page, and its trail names the provider and what it cost."""
    provider = TogetherProvider()
    outcomes = run_virtual(asked(provider, 3))
    assert [[call.width for call in calls] for calls in provider.together] == [[0, 1, 2]]
    for number, (outcome, trail) in enumerate(outcomes):
        assert isinstance(outcome, ProviderResult)
        assert outcome.page.width == number
        assert (trail.provider, trail.attempts, trail.billed_units) == ("scripted", 1, 1.0)
    bodies = [call.unsent for call in provider.together[0]]
    assert len({id(body) for body in bodies}) == 3


def test_an_image_that_is_alone_is_recognized_as_ever() -> None:
    """A call for one image is an ordinary one."""
    provider = TogetherProvider()
    assert isinstance(run_virtual(asked(provider, 1))[0][0], ProviderResult)
    assert (provider.together, len(provider.calls)) == ([], 1)


def test_an_error_of_one_image_is_its_own() -> None:
    """The entry of an image is its answer, be it a result or an error."""

    def one_bad(calls: Sequence[ProviderCall]) -> list[ProviderResult | Exception]:
        good = pages(calls)
        return [ImageUndecodable("bad") if call.width == 1 else page for call, page in zip(calls, good, strict=True)]

    outcomes = [outcome for outcome, _ in run_virtual(asked(TogetherProvider(one_bad), 3))]
    assert [type(outcome) for outcome in outcomes] == [ProviderResult, ImageUndecodable, ProviderResult]


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (TimeoutError(), "a provider let its own time-out escape"),
        (asyncio.CancelledError(), "a provider cancelled itself"),
        (GeneratorExit(), "a provider raised GeneratorExit"),
    ],
)
@pytest.mark.parametrize("as_entry", [False, True])
def test_what_a_provider_may_not_raise_is_an_error_of_each(raised: BaseException, said: str, as_entry: bool) -> None:
    """A stray time-out, cancel or exit is a bug of the provider's: no item takes it for its own or waits for ever."""

    def answers(calls: Sequence[ProviderCall]) -> list[ProviderResult | Exception]:
        if as_entry and isinstance(raised, Exception):
            return [raised] * len(calls)
        raise raised

    for outcome, _ in run_virtual(asked(TogetherProvider(answers), 3)):
        assert isinstance(outcome, RuntimeError)
        assert str(outcome) == said


def test_what_was_encoded_for_several_is_not_sent_for_one() -> None:
    """The next attempt may be with others, or alone; nor is the call of one item's trace."""
    kept: list[bytes] = []
    traces: list[dict[str, Any]] = []

    def fails_once(calls: Sequence[ProviderCall]) -> list[ProviderResult | Exception]:
        kept.extend(call.unsent.content for call in calls)
        traces.append(structlog.contextvars.get_contextvars())
        calls[0].unsent.content = b"of all of them"
        if len(traces) == 1:
            return [ProviderUnavailable("scripted", "again", retry_after_s=0.0) for _ in calls]
        return pages(calls)

    with structlog.contextvars.bound_contextvars(call_id="of one", tenant="of all"):
        outcomes = run_virtual(asked(TogetherProvider(fails_once), 3))
    assert [type(outcome) for outcome, _ in outcomes] == [ProviderResult] * 3
    assert kept == [b""] * 6
    assert [sorted(trace) for trace in traces] == [["tenant"]] * 2


@pytest.mark.parametrize("strange", [None, GeneratorExit(), "text"])
def test_what_is_no_answer_fails_the_call_and_leaves_nobody_waiting(strange: Any) -> None:
    """A provider's bug is told to each of its items."""
    for outcome, _ in run_virtual(asked(TogetherProvider(lambda calls: [*pages(calls)[:-1], strange]), 3)):
        assert isinstance(outcome, RuntimeError)
        assert str(outcome) == f"a provider gave {type(strange).__name__} for an image"


class SlowProvider(TogetherProvider):
    """Begins to send when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.description.features[Feature.TEXT] = SUPPORT  # type: ignore[index]
        self.asked = asyncio.Event()
        self.may_begin = asyncio.Event()

    async def recognize_together(self, calls: Sequence[ProviderCall]) -> Sequence[ProviderResult | Exception]:
        self.asked.set()
        await self.may_begin.wait()
        return await super().recognize_together(calls)


def test_a_moment_that_passes_between_two_looks_at_the_clock_costs_nothing() -> None:
    """The permit is looked at once for all images of a call: those that are sent are paid for, and no others."""

    async def main() -> tuple[SlowProvider, float]:
        provider, money = SlowProvider(), spending({"provider:scripted": Budget(units_per_day=9)})
        looks = itertools.count()

        def clock() -> float:
            """The first look after the provider was told to begin is in time, and the next ones are late."""
            return now() + (1.0 if provider.may_begin.is_set() and next(looks) else 0.0)

        candidate, turn = candidate_of(provider, Quota(requests_per_second=10), clock), a_turn()
        calls = [ProviderCall(b"image", "image/png", number, 1, Feature.TEXT) for number in range(3)]
        items = [asyncio.ensure_future(ProviderCalls(money).make(call, candidate, turn, Trail())) for call in calls]
        await provider.asked.wait()
        items[0].cancel()
        await asyncio.wait(items[:1])
        provider.may_begin.set()
        await asyncio.wait(items)
        return provider, money.ledger.use_of("provider:scripted").units_used

    provider, spent = run_virtual(main())
    assert [len(calls) for calls in provider.together] == [3]
    assert spent == 3


@pytest.mark.parametrize("is_sent", [True, False])
def test_who_leaves_a_call_that_may_still_be_sent_leaves_its_money_there(*, is_sent: bool) -> None:
    """A budget of three bears the call's three images, and no fourth one until it is known that they are not sent."""

    async def main() -> None:
        provider, money = SlowProvider(), spending({"provider:scripted": Budget(units_per_day=3)})
        candidate, turn = candidate_of(provider), a_turn()

        def make(number: int) -> asyncio.Task[ProviderResult]:
            call = ProviderCall(b"image", "image/png", number, 1, Feature.TEXT)
            return asyncio.ensure_future(ProviderCalls(money).make(call, candidate, turn, Trail()))

        items = [make(number) for number in range(3)]
        await provider.asked.wait()
        leaving = items[:1] if is_sent else items
        for item in leaving[:1]:
            item.cancel()
        await asyncio.wait(leaving[:1])
        with pytest.raises(ProviderBudgetSpent):
            await make(3)
        for item in leaving[1:]:
            item.cancel()
        provider.may_begin.set()
        await asyncio.wait(items)
        assert money.ledger.use_of("provider:scripted").units_used == (3 if is_sent else 0)
        assert (await make(4)).billed_units == 1 if not is_sent else True

    run_virtual(main())


def test_a_provider_that_takes_several_images_must_be_able_to() -> None:
    """One that says so and cannot is a bug that shows, and not an item without an answer."""
    assert isinstance(TogetherProvider(), BatchProvider)
    assert not isinstance(ScriptedProvider(), BatchProvider)
    for outcome, _ in run_virtual(asked(ScriptedProvider(), 2)):
        assert isinstance(outcome, TypeError)


class _StillLane:
    in_progress = 0
    waiting = 0
    state = (ProviderState.SERVING, "")


def test_list_providers_tells_images_a_call_and_documents() -> None:
    """As the provider's support says; one image a call where nothing else is said."""
    provider = ScriptedProvider(features=(Feature.TEXT, Feature.ID_DOCUMENT))
    provider.description.features[Feature.ID_DOCUMENT] = FeatureSupport(  # type: ignore[index]
        ImageLimits(),
        PagePreference.UNTOUCHED,
        batch=BatchLimits(2),
        documents=frozenset({IdDocument.PASSPORT, IdDocument.IDENTITY_CARD}),
    )
    message = provider_message(provider, dict.fromkeys(provider.description.features, _StillLane()), spending())
    by_feature = {feature.feature: feature for feature in message.features}
    id_document = by_feature[recognition_pb2.FEATURE_ID_DOCUMENT]
    assert id_document.max_images_per_call == 2
    assert list(id_document.id_documents) == [
        recognition_pb2.ID_DOCUMENT_IDENTITY_CARD,
        recognition_pb2.ID_DOCUMENT_PASSPORT,
    ]
    assert by_feature[recognition_pb2.FEATURE_TEXT].max_images_per_call == 1
    assert not by_feature[recognition_pb2.FEATURE_TEXT].id_documents
