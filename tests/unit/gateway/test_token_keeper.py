"""A token that is fetched and expires: how often it is asked for, and what becomes of those who wait."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from ocr_gateway.errors import ProviderNotConfigured, ProviderUnavailable
from ocr_gateway.providers.http import HttpFailure, HttpFault
from ocr_gateway.providers.remote.token_keeper import Token, TokenFailed, TokenKeeper, TokenRejected

DAY_S = 86_400.0


class Service:
    """Grants tokens t0, t1, ... of ``lifetime_s``, or what ``next_ones`` says, once ``open`` is set."""

    def __init__(self, *next_ones: Exception | Token, lifetime_s: float = 1000.0) -> None:
        self.now = 0.0
        self.asked = 0
        self.next_ones = list(next_ones)
        self.lifetime_s = lifetime_s
        self.open = asyncio.Event()
        self.open.set()

    async def fetch(self) -> Token:
        number, self.asked = self.asked, self.asked + 1
        await self.open.wait()
        outcome = self.next_ones.pop(0) if self.next_ones else Token(f"t{number}", self.lifetime_s)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def keeper(self) -> TokenKeeper:
        return TokenKeeper(self.fetch, provider="vendor", rest_s=60.0, clock=lambda: self.now)


async def settle() -> None:
    """Lets tasks that can go on go on."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_all_who_wait_get_the_token_of_one_fetch() -> None:
    """And one of them that is cancelled leaves it to the others."""
    service = Service()
    service.open.clear()
    keeper = service.keeper()
    keeper.prefetch()
    waiting = [asyncio.create_task(keeper.get()) for _ in range(5)]
    await settle()
    assert keeper.is_first_under_way
    waiting[0].cancel()
    service.open.set()
    assert await asyncio.gather(*waiting[1:]) == ["t0"] * 4
    assert (service.asked, keeper.is_first_under_way) == (1, False)


@pytest.mark.parametrize(
    ("lifetime_s", "still", "renewed", "over"),
    [(1000.0, 899.0, 900.0, 981.0), (30 * DAY_S, 29 * DAY_S - 1, 29 * DAY_S, 30 * DAY_S - 59)],
)
async def test_a_new_one_is_fetched_ahead_of_the_end(
    lifetime_s: float, still: float, renewed: float, over: float
) -> None:
    """A day, or a tenth of its life, before; the old one serves meanwhile, to shortly before its end."""
    service = Service(lifetime_s=lifetime_s)
    keeper = service.keeper()
    assert await keeper.get() == "t0"
    service.now = still
    assert await keeper.get() == "t0"
    assert service.asked == 1
    service.now = renewed
    service.open.clear()
    assert await keeper.get() == "t0"
    await settle()
    assert service.asked == 2
    service.open.set()
    await settle()
    assert await keeper.get() == "t1"
    other = Service(lifetime_s=lifetime_s)
    late = other.keeper()
    await late.get()
    other.now = over
    assert await late.get() == "t1"


async def test_rejected_keys_rest() -> None:
    """They are tried once in the rest, and again after it."""
    service = Service(TokenRejected("unknown client"))
    keeper = service.keeper()
    with capture_logs() as logs:
        for _ in range(3):
            with pytest.raises(ProviderNotConfigured, match="unknown client"):
                await keeper.get()
    assert (service.asked, keeper.rejection) == (1, "unknown client")
    assert [each["event"] for each in logs] == ["provider.credentials_rejected"]
    service.now = 60.0
    assert keeper.rejection == ""
    assert await keeper.get() == "t1"


@pytest.mark.parametrize(
    ("trouble", "words", "rest_s"),
    [
        (TokenFailed("HTTP 503"), "HTTP 503", 1.0),
        (TokenFailed("HTTP 429", 7.0), "HTTP 429", 7.0),
        (TokenFailed("HTTP 429", 4000.0), "HTTP 429", 30.0),
        (HttpFailure(HttpFault.TIMED_OUT, "no answer"), "timed out", 1.0),
        (ValueError("no object"), "malformed answer: no object", 1.0),
        (Token("", 10.0), "an empty token", 1.0),
        (Token("t", 0.0), "expires in 0 s", 1.0),
        (Token("t", float("nan")), "expires in nan s", 1.0),
        (Token("t", 1e300), "expires in", 1.0),
    ],
)
async def test_a_fetch_that_fails_is_tried_again_after_a_moment(
    trouble: Exception | Token, words: str, rest_s: float
) -> None:
    """Calls are unavailable meanwhile, for as long as is left; the status tells why."""
    service = Service(trouble)
    keeper = service.keeper()
    for _ in range(3):
        with pytest.raises(ProviderUnavailable, match=words) as failure:
            await keeper.get()
        assert failure.value.said_s == rest_s
    assert service.asked == 1
    assert words in keeper.failure
    service.now = rest_s
    assert await keeper.get() == "t1"
    assert keeper.failure == ""


@pytest.mark.parametrize("trouble", [TokenRejected("gone"), TokenFailed("HTTP 500")])
async def test_a_failed_renewal_leaves_the_token_that_serves(trouble: Exception) -> None:
    """It is tried again every half minute, to the end of the old one."""
    service = Service()
    keeper = service.keeper()
    await keeper.get()
    service.next_ones.append(trouble)
    service.now = 900.0
    assert await keeper.get() == "t0"
    await settle()
    service.now = 929.0
    assert await keeper.get() == "t0"
    await settle()
    assert (service.asked, keeper.rejection) == (2, "")
    service.now = 930.0
    assert await keeper.get() == "t0"
    await settle()
    assert await keeper.get() == "t2"


async def test_a_token_that_has_ended_is_not_handed_out() -> None:
    """Not even when no new one could be fetched: a call with it would be made in vain."""
    service = Service()
    keeper = service.keeper()
    await keeper.get()
    service.next_ones += [TokenFailed("HTTP 500")] * 2
    service.now = 1000.0
    for _ in range(2):
        with pytest.raises(ProviderUnavailable, match="HTTP 500"):
            await keeper.get()
    assert service.asked == 2


async def test_a_bug_in_fetching_rests_like_any_failure() -> None:
    """It is logged with its trace; those who wait are told, and not a fetch each."""
    service = Service(KeyError("s3cretAnswer"))
    keeper = service.keeper()
    with capture_logs() as logs:
        for _ in range(3):
            with pytest.raises(ProviderUnavailable, match="a bug: KeyError") as failure:
                await keeper.get()
            assert "s3cret" not in str(failure.value)
    assert service.asked == 1
    assert [entry["event"] for entry in logs] == ["provider.token_failed", "provider.token_bug"]


async def test_a_refused_token_is_replaced_at_once() -> None:
    """Once, however many calls met the refusal; three in a row mean that the keys are at fault."""
    service = Service()
    keeper = service.keeper()
    for number in range(2):
        token = await keeper.get()
        assert token == f"t{number}"
        for _ in range(3):
            keeper.refused(token, "expired")
        await settle()
    keeper.refused(await keeper.get(), "expired")
    assert "3 tokens in a row are refused: expired" in keeper.rejection
    assert service.asked == 3
    with pytest.raises(ProviderNotConfigured):
        await keeper.get()


async def test_an_accepted_call_ends_the_row() -> None:
    """Refusals with a served call between them are of tokens, not of the keys."""
    keeper = Service().keeper()
    for _ in range(6):
        keeper.refused(await keeper.get(), "expired")
        await keeper.get()
        keeper.accepted()
    assert keeper.rejection == ""


async def test_closing_ends_a_fetch_and_those_who_wait() -> None:
    """Nothing is fetched afterwards."""
    service = Service()
    service.open.clear()
    keeper = service.keeper()
    waiting = asyncio.create_task(keeper.get())
    await settle()
    await keeper.close()
    with pytest.raises(ProviderUnavailable, match="stopped"):
        await waiting
    with pytest.raises(ProviderUnavailable, match="stopped"):
        await keeper.get()
    assert service.asked == 1


@pytest.mark.parametrize("at", [100.0, 900.0])
async def test_a_closed_one_fetches_nothing(at: float) -> None:
    """Neither ahead of the end of a token nor for a refused one: nobody would end that fetch."""
    service = Service()
    keeper = service.keeper()
    token = await keeper.get()
    service.now = at
    await keeper.close()
    assert await keeper.get() == token
    keeper.refused(token, "expired")
    keeper.prefetch()
    await settle()
    assert service.asked == 1


def test_a_token_does_not_show() -> None:
    """In its repr."""
    shown: Sequence[str] = (repr(Token("secret", 1.0)), str(Token("secret", 1.0)))
    assert not [words for words in shown if "secret" in words]
