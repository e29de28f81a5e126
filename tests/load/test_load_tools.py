"""ghz and ``ocrmux bench`` on the live pair, small."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.clients.python.test_client_command_line import ocrmux
from tests.fakes.languages import go_tool
from tests.load.ghz_run import CONFIGS, PAGES, configurations, run_ghz, write_data
from tests.load.load_rig import LoadRig, load_rig


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[LoadRig]:
    """The pair before a provider that stands in."""
    async with load_rig(tmp_path) as running:
        yield running


async def test_ghz_calls_both_shapes_without_an_error(tmp_path: Path, rig: LoadRig) -> None:
    """It finds the calls by server reflection; 50 calls and 5 streams are answered, each image read by the provider."""
    go_tool("ghz")
    write_data(tmp_path)
    unary = await run_ghz(CONFIGS / "unary_8.json", rig.address, tmp_path, calls=50)
    assert (unary.calls, unary.errors, unary.told) == (50, 0, {})
    assert await rig.provider_calls() == 50
    streams = await run_ghz(CONFIGS / "bidi_1.json", rig.address, tmp_path, calls=5)
    assert (streams.calls, streams.errors, streams.told) == (5, 0, {})
    assert await rig.provider_calls() == 5 * PAGES
    assert 0 < unary.p50_ms <= unary.p95_ms <= unary.p99_ms


async def test_the_bench_reads_everything_on_the_live_pair(tmp_path: Path, rig: LoadRig) -> None:
    """Two seconds of ten images each: exit status 0, and a whole report that agrees with the provider's count."""
    out = tmp_path / "bench.json"
    options = ("--rate", "10", "--duration", "2", "--warmup", "1", "--arrivals", "poisson", "--unique")
    ended = await ocrmux("bench", "--target", rig.address, *options, "--out", out)
    assert ended.status == 0, ended.err
    report = json.loads(out.read_text())
    items = report["items"]
    assert 0 < items["arrivals"] == items["answered"] == report["cache"]["MISS"] == report["billed_units"]
    assert (items["failed"], report["errors"], report["reconnects"]) == (0, {}, 0)
    assert report["response_ms"]["count"] == report["parts_ms"]["provider"]["count"] == items["answered"]
    assert report["response_ms"]["max"] >= report["service_ms"]["max"] >= report["parts_ms"]["provider"]["p50"] > 0
    assert await rig.provider_calls() > items["answered"]  # the warm-up and the first image too


def test_there_is_a_configuration_for_each_shape_and_concurrency() -> None:
    """Unary and bidirectional at 1, 8 and 64, and each file says what its name says."""
    found = {path.stem: json.loads(path.read_text()) for path in configurations()}
    assert list(found) == [f"{shape}_{number}" for shape in ("unary", "bidi") for number in (1, 8, 64)]
    for name, config in found.items():
        assert (config["name"], config["concurrency"]) == (name, int(name.rpartition("_")[2]))
        assert config["data-file"] == f"{name.partition('_')[0]}.json"
        assert config["call"].endswith("/Recognize" if name.startswith("unary") else "/StreamRecognize")
