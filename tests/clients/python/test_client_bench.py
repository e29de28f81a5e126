"""``ocrmux bench`` as a process, against a strict stub over loopback."""

from __future__ import annotations

import asyncio
import json
import signal
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import status_pb2

from ocrmux.ocr.v1.recognition_pb2 import CACHE_POLICY_BYPASS, CACHE_POLICY_USE, PageAnswer
from tests.clients.python.test_client_command_line import ocrmux, started
from tests.fakes.fleet import until
from tests.fakes.stub_servers import StubPlan, item_error, pages_of, stub_gateway, stub_preprocess

SHORT = ("--duration", "0.5", "--warmup", "0.2", "--rate", "40")
SAMPLES = Path(__file__).resolve().parents[3] / "samples"


async def test_a_load_is_told_in_tables_and_in_files(tmp_path: Path) -> None:
    """What was due was read; the JSON is whole, the histogram and the drawing are there."""
    files = {name: tmp_path / name for name in ("bench.json", "bench.hgrm", "bench.svg")}
    plan = StubPlan()
    async with stub_preprocess(plan) as target:
        ended = await ocrmux(
            "bench", "--target", target, *SHORT, "--out", files["bench.json"],
            "--histogram", files["bench.hgrm"], "--plot", files["bench.svg"],
        )  # fmt: skip
    assert ended.status == 0, ended.err
    assert "20 due, 20 answered, 0 failed" in ended.out
    report = json.loads(files["bench.json"].read_text())
    assert report["items"] == {"arrivals": 20, "answered": 20, "failed": 0}
    assert report["response_ms"]["count"] == report["service_ms"]["count"] == 20
    assert sum(count for _, count in report["histograms_us"]["response"]) == 20
    assert report["cache"] == {"MISS": 20}
    assert report["rates_per_s"]["wanted"] == 40
    assert report["order"]["cache"] == "bypass"
    assert sum(second["due"] for second in report["seconds"]) == 20
    assert "1.000000000000" in files["bench.hgrm"].read_text()
    assert ET.parse(files["bench.svg"]).getroot().tag.endswith("svg")
    assert {config.recognition.cache_policy for config in plan.configs} == {CACHE_POLICY_BYPASS}
    assert len(plan.received) == 1 + 8 + 20  # the first image, the warm-up, the load


async def test_a_share_of_the_maximum_is_measured_first() -> None:
    """A closed loop finds the maximum; the rate is the share of it."""
    async with stub_preprocess(StubPlan()) as target:
        ended = await ocrmux(
            "bench", "--target", target, "--rate", "5%", "--duration", "1", "--warmup", "0.2", "--out", "-"
        )
    assert ended.status == 0, ended.err
    rates = json.loads(ended.out)["rates_per_s"]
    assert rates["maximum"] > 0
    assert rates["wanted"] == pytest.approx(0.05 * rates["maximum"])


async def test_a_closed_loop_has_service_times_only() -> None:
    """Every item is due when there is room for it."""
    async with stub_preprocess(StubPlan()) as target:
        ended = await ocrmux("bench", "--target", target, *SHORT[:4], "--rate", "max", "--window", "2")
    assert ended.status == 0, ended.err
    assert "closed loop" in ended.out
    assert "from when it was due" not in ended.out


async def test_items_that_fail_are_counted_by_reason(tmp_path: Path) -> None:
    """One page in two is refused: exit status 1, the reason with its count, and no warm-up among them."""
    numbers = iter(range(10_000))

    def every_other(request_id: str, content: bytes) -> list[PageAnswer]:
        return pages_of(request_id, b"error=IMAGE_UNDECODABLE" if next(numbers) % 2 else b"page")

    out = tmp_path / "bench.json"
    async with stub_preprocess(StubPlan(pages_of=every_other)) as target:
        ended = await ocrmux("bench", "--target", target, *SHORT, "--streams", "1", "--out", out)
    assert ended.status == 1
    report = json.loads(out.read_text())
    assert report["errors"] == {"IMAGE_UNDECODABLE": 10}
    assert report["items"]["answered"] == 10
    assert "IMAGE_UNDECODABLE 10" in ended.out


async def test_files_are_sent_by_turns_and_unique_ones_never_twice() -> None:
    """--cache use lets the cache answer; --unique changes each file."""
    plan = StubPlan()
    async with stub_preprocess(plan) as target:
        ended = await ocrmux(
            "bench", SAMPLES / "letter.png", "--target", target, *SHORT, "--cache", "use", "--unique", "--out", "-"
        )
    assert ended.status == 0, ended.err
    sent = [item.image.content for item in plan.items[1:]]
    assert len(set(sent)) == len(sent) == 28
    assert {config.recognition.cache_policy for config in plan.configs} == {CACHE_POLICY_USE}


async def test_what_cannot_work_ends_with_2_before_the_load() -> None:
    """A first image that is refused, a stream that is refused, a gateway, nothing there."""

    async def status_and_words(target: str) -> tuple[int, str]:
        ended = await ocrmux("bench", "--target", target, *SHORT)
        assert not ended.out
        return ended.status, ended.err

    def refused(request_id: str, content: bytes) -> list[PageAnswer]:
        return pages_of(request_id, b"error=FORMAT_UNSUPPORTED")

    plan = StubPlan(pages_of=refused)
    async with stub_preprocess(plan) as target:
        status, said = await status_and_words(target)
    assert (status, "FORMAT_UNSUPPORTED" in said, len(plan.received)) == (2, True, 1)
    unknown: status_pb2.Status = item_error(grpc.StatusCode.NOT_FOUND, "PROVIDER_UNKNOWN")
    async with stub_preprocess(StubPlan(refuses_stream=unknown)) as target:
        status, said = await status_and_words(target)
    assert (status, "PROVIDER_UNKNOWN" in said) == (2, True)
    async with stub_gateway() as target:
        status, said = await status_and_words(target)
    assert (status, "is no preprocess service" in said) == (2, True)
    status, said = await status_and_words("127.0.0.1:1")
    assert (status, "UNAVAILABLE" in said) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--rate", "fast"), "--rate wants"),
        (("--plot", "bench.png"), "should end in .svg"),
        (("--out", "/nowhere/bench.json"), "cannot be written"),
        (("gone.png",), "no file or folder"),
        (("--provider", "a", "--route", "b"), "cannot be asked for at once"),
    ],
)
async def test_bad_usage_is_one_line(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    """And exit status 2, before anything is started."""
    ended = await ocrmux("bench", *arguments, cwd=tmp_path)
    assert ended.status == 2
    assert words in ended.err
    assert len(ended.err.splitlines()) == 1


async def test_an_interrupted_load_tells_what_it_has() -> None:
    """Ctrl-C in the middle: the figures until then, and exit status 130."""
    plan = StubPlan()
    async with stub_preprocess(plan) as target:
        process = await started("bench", "--target", target, "--rate", "40", "--warmup", "0", "--out", "-")
        await until(lambda: len(plan.answered) > 20, 30)
        process.send_signal(signal.SIGINT)
        out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 130
    report: dict[str, Any] = json.loads(out)
    assert report["interrupted"]
    assert report["items"]["answered"] > 10
    assert report["items"]["failed"] == 0
    assert b"interrupted" in err
