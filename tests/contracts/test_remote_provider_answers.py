"""What every provider over the network makes of errors that its service tells, and of answers that make no sense."""

from __future__ import annotations

import asyncio

import pytest

from ocr_gateway.errors import (
    FieldInvalid,
    ImageShapeUnsupported,
    ImageUndecodable,
    ProviderNotConfigured,
    ProviderQuotaSpent,
    ProviderThrottled,
    ProviderUnavailable,
)
from ocr_gateway.model import (
    ProviderState,
)
from tests.contracts.remote_cases import CASES
from tests.contracts.remote_desk import (
    Desk,
    assert_served,
    each,
    failure_of,
    knowing,
)

FETCHING = [case for case in CASES if case.fetches_token]

pytestmark = pytest.mark.asyncio(loop_scope="package")


@each(knowing("throttled"))
async def test_throttling_is_told_apart_and_passes(desk: Desk) -> None:
    """With the rest that the answer's header asks for; a header of nothing is no leave to hurry."""
    await desk.stand_in.configure(error_code="throttled", retry_after="7")
    assert (await failure_of(ProviderThrottled, desk)).said_s == 7
    await desk.stand_in.configure(retry_after="0")
    assert (await failure_of(ProviderThrottled, desk)).said_s is None
    await desk.stand_in.configure(fresh=True)
    await assert_served(desk)


@each(knowing("throttled"))
async def test_a_quota_that_is_used_up_throttles(desk: Desk) -> None:
    """The stand-in lets so many in within a second and no more; nobody is served twice."""
    await desk.stand_in.configure(quota=2)
    outcomes = await asyncio.gather(
        *(desk.provider.recognize(desk.call(number)) for number in range(5)), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["ProviderResult"] * 2 + ["ProviderThrottled"] * 3
    assert (await desk.stand_in.stats())["duplicates_billed"] == 0


@each(knowing("transient"))
async def test_a_passing_error_is_unavailable_and_passes(desk: Desk) -> None:
    """Nothing is billed for it."""
    await desk.stand_in.configure(error_code="transient")
    assert not (await failure_of(ProviderUnavailable, desk)).may_be_billed
    assert desk.provider.status.state is ProviderState.SERVING
    await desk.stand_in.configure(fresh=True)
    await assert_served(desk)


@pytest.mark.parametrize(
    ("case", "kind"),
    [
        pytest.param(case, kind, id=f"{case.kind}-{kind}")
        for kind in ("day_spent", "quota_spent")
        for case in knowing(kind)
    ],
)
async def test_a_spent_quota_is_told(desk: Desk, kind: str) -> None:
    """For all calls of the feature, with a rest of at most an hour."""
    await desk.stand_in.configure(error_code=kind)
    failure = await failure_of(ProviderQuotaSpent, desk)
    assert failure.for_all
    assert 0 < failure.opens_in_s <= 3600


@each(knowing("undecodable"))
async def test_an_image_that_the_service_cannot_decode_is_refused_for_good(desk: Desk) -> None:
    """The image's fault, and nobody else's."""
    await desk.stand_in.configure(error_code="undecodable")
    await failure_of(ImageUndecodable, desk)
    await desk.stand_in.configure(fresh=True)
    await assert_served(desk)


@each(knowing("too_large"))
async def test_an_image_too_large_for_the_service_is_refused_for_good(desk: Desk) -> None:
    """Though it is within the limits that are known."""
    await desk.stand_in.configure(error_code="too_large")
    await failure_of(ImageShapeUnsupported, desk)


@each(knowing("option"))
async def test_an_option_that_the_service_refuses_is_the_callers(desk: Desk) -> None:
    """The field is named."""
    await desk.stand_in.configure(error_code="option")
    assert (await failure_of(FieldInvalid, desk)).field == "recognition.provider_options"


@each(knowing("not_open"))
async def test_what_is_not_open_to_the_keys_rests(desk: Desk) -> None:
    """Calls are not sent in vain."""
    await desk.stand_in.configure(error_code="not_open")
    for _ in range(3):
        assert (await failure_of(ProviderNotConfigured, desk)).for_all
    assert await desk.requests() == 1


@each(knowing("credentials"))
async def test_keys_that_a_call_finds_rejected_rest(desk: Desk) -> None:
    """The status says so, and calls are not sent in vain."""
    await desk.stand_in.configure(error_code="credentials")
    for _ in range(3):
        await failure_of(ProviderNotConfigured, desk)
    assert desk.provider.status.state is ProviderState.NOT_CONFIGURED
    assert await desk.requests() == 1


@pytest.mark.parametrize(
    ("case", "kind"),
    [
        pytest.param(case, kind, id=f"{case.kind}-{kind}")
        for kind in ("token_invalid", "token_expired")
        for case in knowing(kind)
        if case.fetches_token
    ],
)
async def test_a_refused_token_is_fetched_anew(desk: Desk, kind: str) -> None:
    """The attempt fails, to be made again at once, with the new one."""
    await desk.stand_in.configure(error_code=kind)
    failure = await failure_of(ProviderUnavailable, desk)
    assert (failure.said_s, failure.may_be_billed) == (0, False)
    await desk.stand_in.configure(fresh=True)
    await desk.provider.until_ready()
    await assert_served(desk)


@each(FETCHING)
async def test_a_token_that_expires_costs_one_attempt(desk: Desk) -> None:
    """The first call that meets the end of it; the next has another token."""
    await assert_served(desk)
    await desk.stand_in.configure(expire_tokens=True)
    assert (await failure_of(ProviderUnavailable, desk)).said_s == 0
    await desk.provider.until_ready()
    await assert_served(desk)
    stats = await desk.stand_in.stats()
    assert (stats["requests"], stats["refused_tokens"], stats["billed_units"]) == (3, 1, 2)


@each(CASES)
@pytest.mark.parametrize(("status", "kind"), [(503, ProviderUnavailable), (429, ProviderThrottled)])
async def test_a_status_without_words_is_understood(
    desk: Desk, status: int, kind: type[ProviderUnavailable | ProviderThrottled]
) -> None:
    """As HTTP means it; Retry-After is heeded."""
    await desk.stand_in.configure(status=status, retry_after="7")
    assert (await failure_of(kind, desk)).said_s == 7


@each(CASES)
async def test_broken_answers_are_unavailable(desk: Desk) -> None:
    """Cut JSON, HTML, and answers of another shape: another attempt may mend it, and they may have been billed."""
    await desk.stand_in.configure(share_malformed=1.0)
    for number in range(2):
        failure = await failure_of(ProviderUnavailable, desk, number=number)
        assert failure.may_be_billed
        assert "malformed" in str(failure)
    for body in ("", "null", "[]", "7", "{}", '{"error": []}', "[" * 100_000, '{"a":' * 100_000, '{"a": 1e999}'):
        await desk.stand_in.configure(fresh=True, body=body)
        await failure_of(ProviderUnavailable, desk)
    await desk.stand_in.configure(fresh=True)
    await assert_served(desk)


@each(CASES)
async def test_a_huge_answer_is_not_read_to_its_end(desk: Desk) -> None:
    """It is unavailable, and the next one is served."""
    await desk.stand_in.configure(huge_bytes=17_000_000)
    assert "too large" in str(await failure_of(ProviderUnavailable, desk))
    await desk.stand_in.configure(fresh=True)
    await assert_served(desk)
