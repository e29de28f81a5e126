"""What every provider over the network makes of slow and lost connections, of calls given up, and of its keys."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from ocr_gateway.errors import (
    ProviderNotConfigured,
    ProviderUnavailable,
)
from ocr_gateway.model import (
    ProviderState,
)
from ocr_gateway.providers.base import Provider
from ocr_gateway.providers.remote.provider import RemoteProvider
from tests.contracts.remote_cases import CASES, RemoteCase
from tests.contracts.remote_desk import (
    Desk,
    OpenDesk,
    StandIns,
    assert_served,
    each,
    failure_of,
    known_kinds,
)

KEYED = [case for case in CASES if case.keys]

pytestmark = pytest.mark.asyncio(loop_scope="package")


# What the network does


@each(CASES)
async def test_a_slow_service_is_given_up_in_time(open_desk: OpenDesk) -> None:
    """It may have billed the call; the connection is closed."""
    desk = await open_desk(timeout_s=0.4)
    await desk.stand_in.configure(latency_s=30.0)
    began = time.monotonic()
    failure = await failure_of(ProviderUnavailable, desk)
    assert 0.3 < time.monotonic() - began < 5
    assert failure.may_be_billed
    assert "timed out" in str(failure)
    assert (await desk.until_idle())["abandoned"] == 1


@each(CASES)
async def test_a_reset_connection_costs_one_request(desk: Desk) -> None:
    """On a new and on a kept connection alike, nothing is sent twice."""
    await desk.stand_in.configure(share_reset=1.0)
    for number in range(3):
        failure = await failure_of(ProviderUnavailable, desk, number=number)
        assert failure.may_be_billed
        assert "connection lost" in str(failure)
    assert await desk.requests() == 3
    await desk.stand_in.configure(fresh=True)
    await assert_served(desk)


@each(CASES)
async def test_a_turn_that_has_passed_keeps_what_was_encoded(desk: Desk) -> None:
    """A call refused at the last moment is not sent; its next attempt sends what was made for it."""

    def too_late() -> None:
        raise LookupError

    missed = desk.call(begin=too_late)
    with pytest.raises(LookupError):
        await desk.provider.recognize(missed)
    assert await desk.requests() == 0
    assert missed.unsent.content
    await desk.provider.recognize(replace(missed, begin=lambda: None))
    assert (await desk.requests(), missed.unsent.content) == (1, b"")


@each(CASES)
async def test_cancelled_calls_leave_the_others_alone(desk: Desk) -> None:
    """These are served; the service sees the cancelled ones go."""
    await desk.stand_in.configure(latency_s=30.0)
    cancelled = [asyncio.create_task(desk.provider.recognize(desk.call(number))) for number in range(2)]
    await desk.until_requests(2)
    await desk.stand_in.configure(latency_s=0.05)
    other = asyncio.create_task(desk.provider.recognize(desk.call(2)))
    await desk.until_requests(3)
    for task in cancelled:
        task.cancel()
    outcomes = await asyncio.gather(*cancelled, other, return_exceptions=True)
    assert [type(outcome).__name__ for outcome in outcomes] == ["CancelledError", "CancelledError", "ProviderResult"]
    await assert_served(desk)
    stats = await desk.until_idle()
    assert (stats["abandoned"], stats["billed_units"]) == (2, 2)


@each(CASES)
async def test_it_is_closed_promptly_with_calls_under_way(desk: Desk) -> None:
    """They are unavailable, their connections closed; it may be done twice, and no call is taken afterwards."""
    await desk.stand_in.configure(latency_s=30.0)
    running = [asyncio.create_task(desk.provider.recognize(desk.call(number))) for number in range(3)]
    await desk.until_requests(3)
    began = time.monotonic()
    await desk.provider.close()
    await desk.provider.close()
    assert time.monotonic() - began < 10  # the calls would take 30 s
    outcomes = await asyncio.gather(*running, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ProviderUnavailable] * 3
    assert (await desk.until_idle())["abandoned"] == 3
    assert desk.provider.status.state is not ProviderState.SERVING
    await failure_of(ProviderUnavailable, desk)


@each(CASES)
async def test_it_is_started_before_it_serves(case: RemoteCase, stand_ins: StandIns) -> None:
    """STARTING before; starting twice does no harm."""
    provider = case.build((await stand_ins.of(case)).url)
    desk = Desk(case, await stand_ins.of(case), provider)
    assert provider.status.state is ProviderState.STARTING
    await failure_of(ProviderUnavailable, desk)
    await provider.start()
    await provider.start()
    await provider.until_ready()
    assert provider.status.state.name == "SERVING"
    await assert_served(desk)
    await provider.close()


# Keys


@each(KEYED)
async def test_without_keys_nothing_is_asked(case: RemoteCase, stand_ins: StandIns) -> None:
    """The status says what is missing, and calls are not sent."""
    stand_in = await stand_ins.of(case)
    provider = case.build(stand_in.url, keys=dict.fromkeys(case.keys, ""))
    await provider.start()
    assert provider.status.state is ProviderState.NOT_CONFIGURED
    assert any(case.variable(key) in provider.status.detail for key in case.keys)
    await failure_of(ProviderNotConfigured, Desk(case, stand_in, provider))
    stats = await stand_in.stats()
    assert (stats["requests"], stats["token_requests"]) == (0, 0)
    await provider.close()


@each(KEYED)
async def test_rejected_keys_are_told_and_rest(case: RemoteCase, stand_ins: StandIns) -> None:
    """The status says it; they are tried once in the rest, however many calls come; no word has a key in it."""
    stand_in = await stand_ins.of(case)
    provider = case.build(stand_in.url, keys=case.rejected_keys)
    desk = Desk(case, stand_in, provider)
    with capture_logs() as logs:
        await provider.start()
        failures = [await failure_of(ProviderNotConfigured, desk) for _ in range(3)]
    assert provider.status.state is ProviderState.NOT_CONFIGURED
    stats = await stand_in.stats()
    assert stats["requests"] + stats["token_requests"] == 1
    assert_secret(case, provider, failures, logs, case.rejected_keys)
    await provider.close()


@each(KEYED)
async def test_no_key_stands_in_what_is_said(open_desk: OpenDesk, case: RemoteCase) -> None:
    """Neither in errors, nor in what they come from, nor in logs, the status, the description or a repr."""
    desk = await open_desk(timeout_s=0.4)
    failures: list[Exception] = []
    troubles: list[dict[str, Any]] = [
        {"error_code": kind} for kind in sorted(known_kinds(case) - {"credentials", "not_open", "not_this_document"})
    ]
    troubles += [{"status": 500}, {"share_malformed": 1.0}, {"share_reset": 1.0}, {"body": "{}"}, {"latency_s": 9.0}]
    with capture_logs() as logs:
        for trouble in troubles:
            await desk.stand_in.configure(fresh=True, **trouble)
            with pytest.raises(Exception) as failure:
                await desk.provider.recognize(desk.call())
            failures.append(failure.value)
        for kind in sorted(known_kinds(case) & {"not_open", "credentials"}, reverse=True):
            await desk.stand_in.configure(fresh=True, error_code=kind)
            failures.append(await failure_of(ProviderNotConfigured, desk))
    assert_secret(case, desk.provider, failures, logs, case.keys)


def assert_secret(
    case: RemoteCase, provider: Provider, failures: Sequence[Exception], logs: Sequence[Any], keys: Mapping[str, str]
) -> None:
    """No key is in an error, in what that comes from, in a log, or in what the provider shows of itself."""
    words = [f"{each_shown!r} {each_shown}" for each_shown in (provider, provider.status, provider.description, *logs)]
    if isinstance(provider, RemoteProvider):
        words.append(f"{provider.dialect!r} {provider.dialect}")
    for failure in failures:
        at: BaseException | None = failure
        while at is not None:
            words.append(f"{at!r} {at} {getattr(at, 'metadata', '')}")
            at = at.__cause__ or at.__context__
    for name, key in keys.items():
        assert not [line for line in words if key in line], name
