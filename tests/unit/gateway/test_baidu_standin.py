"""The stand-in of Baidu: its counting, its faults, and its strictness."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.standin.fault_plan import ThrottleBursts, fault_of, latency_of
from tests.fakes.standin.ledger import Ledger, SlidingSecond
from tests.fakes.standin.process import stand_in_process
from tests.fakes.standin.server import StandIn
from tests.fakes.standin.settings import StandInSettings
from tests.fakes.standin.vendor import Denied
from tests.fakes.standin.vendors.baidu.form import FORM_TYPE, read_form
from tests.fakes.standin.vendors.baidu.tokens import EXPIRED, INVALID, TokenDesk

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


def form(image: bytes = PNG, **options: str) -> bytes:
    fields = "".join(f"&{name}={value}" for name, value in options.items())
    return f"image={quote_plus(base64.b64encode(image))}{fields}".encode()


@given(st.lists(st.floats(0, 5), max_size=60))
def test_the_worst_second_is_the_fullest_of_all(times: list[float]) -> None:
    """As counting every second that begins right after an event or at it would find."""
    second = SlidingSecond()
    for moment in sorted(times):
        second.add(moment)
    assert second.worst == max((sum(end - 1 < other <= end for other in times) for end in times), default=0)


def test_the_quota_lets_in_so_many_a_second_and_no_more() -> None:
    """Refused calls use nothing up; a second later there is room again."""
    ledger = Ledger()
    codes = [ledger.admit("general", 3, 0, moment) for moment in (0.0, 0.1, 0.2, 0.3, 0.99, 1.0, 1.05, 1.1)]
    assert codes == [0, 0, 0, 18, 18, 0, 18, 0]
    assert ledger.stats()["refusals"] == 3


def test_the_quota_of_a_day_is_kept() -> None:
    """With error 17."""
    ledger = Ledger()
    assert [ledger.admit("general", 0, 2, 0.0) for _ in range(3)] == [0, 0, 17]


def test_duplicates_are_counted_by_endpoint_and_image() -> None:
    """An image billed twice on one endpoint is a duplicate, on two it is not."""
    ledger = Ledger()
    for endpoint, digest in (("general", "a"), ("general", "b"), ("general", "a"), ("table", "a")):
        ledger.see(endpoint, digest)
        ledger.bill(endpoint, digest)
    stats = ledger.stats()
    assert (stats["billed_units"], stats["distinct_images"], stats["duplicates_billed"]) == (4, 3, 1)


def test_faults_come_in_their_shares_and_the_same_in_every_run() -> None:
    """Whatever the order of arrival; and an image that failed may succeed when it comes again."""
    settings = StandInSettings(share_500=0.05, share_reset=0.02, share_hang=0.01, share_malformed=0.02)
    digests = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(10_000)]
    faults = Counter(fault_of(settings, digest, 0) for digest in digests)
    for name, share in (("500", 500), ("reset", 200), ("hang", 100), ("malformed", 200)):
        assert abs(faults[name] - share) < 75
    assert faults == Counter(fault_of(settings, digest, 0) for digest in reversed(digests))
    failing = [digest for digest in digests if fault_of(settings, digest, 0)]
    assert sum(bool(fault_of(settings, digest, 1)) for digest in failing) < len(failing) / 5


def test_latencies_lie_within_their_jitter() -> None:
    """To both sides, and never below 0."""
    settings = StandInSettings(latency_s=0.3, latency_jitter_s=0.1)
    latencies = [latency_of(settings, str(number), 0) for number in range(1000)]
    assert 0.2 <= min(latencies) < 0.22
    assert 0.38 < max(latencies) <= 0.4
    assert latency_of(StandInSettings(latency_s=0.3), "a", 0) == 0.3


def test_bursts_begin_at_every_so_manieth_request() -> None:
    """And take a number of requests, or a time."""
    bursts, settings = ThrottleBursts(), StandInSettings(throttle_every=3, throttle_burst=2)
    assert [bursts.strikes(settings, 0.0) for _ in range(8)] == [False, False, True, True, False, False, True, True]
    bursts, settings = ThrottleBursts(), StandInSettings(throttle_every=2, throttle_for_s=1.0)
    assert [bursts.strikes(settings, now) for now in (0.0, 0.1, 0.2, 1.0, 1.2, 1.3)] == [
        False, True, True, True, False, True,
    ]  # fmt: skip


def test_tokens_expire() -> None:
    """By time and on command; a token that was never issued is another error."""
    desk = TokenDesk()
    token, other = desk.issue(0.0, 10.0), desk.issue(0.0, 100.0)
    assert token != other
    assert [desk.code_of(token, now) for now in (0.0, 9.9, 10.0)] == [0, 0, EXPIRED]
    assert desk.code_of(other, 10.0) == 0
    desk.expire_all()
    assert desk.code_of(other, 10.0) == EXPIRED
    assert desk.code_of("made up", 0.0) == INVALID


def test_a_good_form_is_read() -> None:
    """The image as it was, and the options."""
    read = read_form("general", FORM_TYPE, form(probability="true"))
    assert (read.image, read.options) == (PNG, {"probability": "true"})
    lower = form().replace(b"%2F", b"%2f").replace(b"%2B", b"%2b").replace(b"%3D", b"%3d")
    assert read_form("general", FORM_TYPE, lower).image == PNG


@pytest.mark.parametrize(
    ("endpoint", "content_type", "body", "code"),
    [
        ("general", "application/json", form(), 216101),
        ("general", FORM_TYPE, b"", 216101),
        ("general", FORM_TYPE, b"probability=true&" + form(), 216101),
        ("general", FORM_TYPE, b"image=", 216200),
        ("general", FORM_TYPE, b"image=" + base64.b64encode(PNG), 216201),
        ("general", FORM_TYPE, b"image=***", 216201),
        ("general", FORM_TYPE, form(b"no image"), 216201),
        ("general", FORM_TYPE, form(PNG + bytes(6_100_000)), 216202),
        ("general", FORM_TYPE, form(color="red"), 216100),
        ("general", FORM_TYPE, form(probability="yes"), 216100),
        ("general_basic", FORM_TYPE, form(vertexes_location="true"), 216100),
        ("idcard", FORM_TYPE, form(), 216101),
    ],
)
def test_a_form_that_baidu_would_not_take_is_refused(endpoint: str, content_type: str, body: bytes, code: int) -> None:
    """With Baidu's code."""
    with pytest.raises(Denied) as refusal:
        read_form(endpoint, content_type, body)
    assert refusal.value.code == code


def test_images_without_an_end_are_refused_on_command() -> None:
    """Only where that is asked for."""
    assert read_form("general", FORM_TYPE, form()).image == PNG
    with pytest.raises(Denied):
        read_form("general", FORM_TYPE, form(), whole_images=True)


@pytest.mark.parametrize("changes", [{"nothing": 1}, {"latency_s": "1"}, {"down": 1}, {"seed": 1.5}, {"quota": [1]}])
def test_settings_that_there_are_not_are_refused(changes: dict[str, Any]) -> None:
    """By name and by type."""
    with pytest.raises(ValueError, match=next(iter(changes))):
        StandInSettings().changed(changes)


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """A stand-in in this process, with a quota of 3."""
    stand_in = StandIn(StandInSettings().changed({"quota": 3}))
    host, port = await stand_in.serve("127.0.0.1", 0)
    yield f"http://{host}:{port}"
    await stand_in.close()


async def test_it_keeps_token_and_quota_over_http(url: str) -> None:
    """A call without a token, one too many, and the counts of both; arrivals count whether refused or not."""
    keys = {"grant_type": "client_credentials", "client_id": "standin-key", "client_secret": "standin-secret"}
    headers = {"Content-Type": FORM_TYPE}
    async with aiohttp.ClientSession() as session:

        async def ask(token: str, endpoint: str = "general") -> dict[str, Any]:
            address = f"{url}/rest/2.0/ocr/v1/{endpoint}?access_token={token}"
            async with session.post(address, data=form(), headers=headers) as response:
                answer: dict[str, Any] = await response.json()
                return answer

        assert (await ask("made-up"))["error_code"] == 110
        async with session.post(f"{url}/oauth/2.0/token", params=keys) as response:
            token = (await response.json())["access_token"]
        answers = await asyncio.gather(*(ask(token) for _ in range(5)))
        assert sorted(answer.get("error_code", 0) for answer in answers) == [0, 0, 0, 18, 18]
        served = next(answer for answer in answers if "words_result" in answer)
        assert served["words_result"][0]["words"] == hashlib.sha256(PNG).hexdigest()[:16]
        async with session.get(f"{url}/control/stats") as response:
            stats = await response.json()
        assert (stats["worst_second"], stats["refusals"], stats["refused_tokens"]) == (6, 2, 1)
        assert (stats["billed_units"], stats["duplicates_billed"]) == (3, 2)
        async with session.post(f"{url}/control/config", data=json.dumps({"nothing": 1})) as response:
            assert response.status == 400


async def test_it_runs_as_a_process(tmp_path: Path) -> None:
    """It tells its address, takes commands, and ends when it is told to."""
    async with stand_in_process(tmp_path, lines=8) as stand_in:
        await stand_in.configure(seed=3)
        with pytest.raises(ValueError, match="nothing"):
            await stand_in.configure(nothing=1)
        assert (await stand_in.stats())["requests"] == 0
    assert stand_in.process.returncode == 0
    assert stand_in.log.read_text() == ""
