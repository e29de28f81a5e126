"""Baidu's access token over real sockets: how often it is asked for, and what becomes of calls meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from ocr_gateway.errors import (
    ProviderNotConfigured,
    ProviderUnavailable,
)
from ocr_gateway.model import ProviderState
from tests.fakes.baidu_desk import Desk, call, failure_of, image, texts, until, words_of
from tests.fakes.standin.process import StandInProcess, stand_in_process

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def process(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[StandInProcess]:
    async with stand_in_process(tmp_path_factory.mktemp("standin"), quota=1000) as process:
        yield process
        assert process.log.read_text() == ""


@pytest_asyncio.fixture(loop_scope="module")
async def stand_in(process: StandInProcess) -> StandInProcess:
    """The stand-in, as it was started and with its counts at 0."""
    await process.configure(fresh=True)
    await process.reset()
    return process


@pytest_asyncio.fixture(loop_scope="module")
async def desk(stand_in: StandInProcess) -> AsyncIterator[Desk]:
    desk = Desk(stand_in.url, timeout_s=5.0)
    await desk.provider.start()
    yield desk
    await desk.provider.close()


async def test_a_hundred_calls_at_once_make_one_request_for_a_token(stand_in: StandInProcess) -> None:
    """All wait for the same token, then all are served."""
    await stand_in.configure(token_latency_s=0.1)
    desk = Desk(stand_in.url)
    await desk.provider.start()
    results = await asyncio.gather(*(desk.provider.recognize(call(image(number))) for number in range(100)))
    assert [texts(result.page) for result in results] == [[words_of(image(number))] for number in range(100)]
    stats = await stand_in.stats()
    assert (stats["token_requests"], stats["requests"], stats["duplicates_billed"]) == (1, 100, 0)
    await desk.provider.close()


async def test_a_waiter_for_the_token_leaves_it_to_the_others(stand_in: StandInProcess) -> None:
    """Cancelling the call that waited first cancels no other."""
    await stand_in.configure(token_latency_s=0.3)
    desk = Desk(stand_in.url)
    await desk.provider.start()
    first, second = (asyncio.create_task(desk.provider.recognize(call(image(n)))) for n in range(2))
    await until(stand_in.stats, lambda stats: stats["token_requests"] == 1)
    first.cancel()
    assert texts((await second).page) == [words_of(image(1))]
    stats = await stand_in.stats()
    assert (stats["token_requests"], stats["requests"]) == (1, 1)
    await desk.provider.close()


async def test_an_expiry_in_the_middle_of_a_run_loses_nothing(desk: Desk, stand_in: StandInProcess) -> None:
    """Calls that are made again when they are told to are all served, with one more request for a token."""
    await stand_in.configure(latency_s=0.02)
    rests_s: set[float | None] = set()

    async def read(number: int) -> list[str]:
        for _ in range(3):
            try:
                return texts((await desk.provider.recognize(call(image(number)))).page)
            except ProviderUnavailable as refusal:
                rests_s.add(refusal.said_s)
                await desk.provider.until_ready()
        raise AssertionError("refused three times")

    first = [asyncio.create_task(read(number)) for number in range(20)]
    await first[0]
    await stand_in.configure(expire_tokens=True)
    rest = await asyncio.gather(*(read(number) for number in range(20, 40)))
    assert rest == [[words_of(image(number))] for number in range(20, 40)]
    assert await asyncio.gather(*first) == [[words_of(image(number))] for number in range(20)]
    assert (await stand_in.stats())["token_requests"] == 2
    assert rests_s == {0}


async def test_a_token_is_fetched_ahead_of_its_end(stand_in: StandInProcess) -> None:
    """Near its end the old one serves while the new one is fetched, and no call is refused."""
    await stand_in.configure(token_lifetime_s=1000.0)
    desk = Desk(stand_in.url)
    await desk.provider.start()
    await desk.provider.recognize(call())
    desk.ahead_s = 950.0
    await desk.provider.recognize(call())
    await until(stand_in.stats, lambda stats: stats["tokens_issued"] == 2)
    await desk.provider.recognize(call())
    stats = await stand_in.stats()
    assert (stats["token_requests"], stats["refused_tokens"]) == (2, 0)
    await desk.provider.close()


async def test_tokens_that_are_refused_again_and_again_are_not_fetched_for_ever(
    desk: Desk, stand_in: StandInProcess
) -> None:
    """After three the provider rests, and serves again when Baidu does."""
    await stand_in.configure(error_code=111)
    failures = [await failure_of(desk) for _ in range(4)]
    assert [type(each) for each in failures] == [ProviderUnavailable] * 2 + [ProviderNotConfigured] * 2
    assert desk.state is ProviderState.NOT_CONFIGURED
    assert (await stand_in.stats())["requests"] == 3
    await stand_in.configure(fresh=True)
    desk.ahead_s = 61.0
    assert desk.state.name == "SERVING"
    await desk.provider.recognize(call())


@pytest.mark.parametrize(
    ("keys", "words"),
    [({"secret_key": "wrong"}, "Client authentication failed"), ({"api_key": "wrong"}, "unknown client id")],
)
async def test_rejected_keys_are_tried_again_only_after_a_rest(
    stand_in: StandInProcess, keys: dict[str, Any], words: str
) -> None:
    """The provider says that it is not configured, and asks once in the rest, however many calls come."""
    desk = Desk(stand_in.url, **keys)
    await desk.provider.start()
    for _ in range(3):
        failure = await failure_of(desk)
        assert isinstance(failure, ProviderNotConfigured)
        assert words in str(failure)
        assert "wrong" not in str(failure)
    assert desk.state is ProviderState.NOT_CONFIGURED
    assert (await stand_in.stats())["token_requests"] == 1
    desk.ahead_s = 61.0
    await failure_of(desk)
    stats = await stand_in.stats()
    assert (stats["token_requests"], stats["requests"]) == (2, 0)
    await desk.provider.close()


async def test_a_token_that_cannot_be_fetched_for_now(desk: Desk, stand_in: StandInProcess) -> None:
    """Calls fail as of an unavailable provider, one fetch a second is made, and service comes back by itself."""
    await stand_in.configure(token_status=503, expire_tokens=True)
    fresh = Desk(stand_in.url)
    await fresh.provider.start()
    for _ in range(3):
        assert isinstance(await failure_of(fresh), ProviderUnavailable)
    assert (await stand_in.stats())["token_requests"] <= 2  # the other provider's own fetch may be among them
    assert fresh.state is ProviderState.SERVING
    await stand_in.configure(fresh=True)
    fresh.ahead_s = 2.0
    assert texts((await fresh.provider.recognize(call())).page)
    await fresh.provider.close()


async def test_a_server_that_is_not_there(tmp_path: Path, stand_in: StandInProcess) -> None:
    """Nothing listens: unavailable at once, without the address in the words."""
    async with stand_in_process(tmp_path) as gone:
        pass
    desk = Desk(gone.url)
    await desk.provider.start()
    failure = await failure_of(desk)
    assert type(failure) is ProviderUnavailable
    assert "standin-secret" not in str(failure)
    assert gone.address not in str(failure)
    await desk.provider.close()
