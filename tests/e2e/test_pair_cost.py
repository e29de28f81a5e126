"""What a file costs on its way through the pair: pages, tiles, the cache and a spent budget, as the provider bills."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.fleet import Fleet, running_fleet
from tests.fakes.images import InkBox, encoded, page_with_ink, tiff_pages
from tests.fakes.processes import service

PRICE = 0.1
COMMAND = (sys.executable, "-c", "from ocrmux_client.cli import main; main()")


def scan(number: int, height: int = 400) -> Any:
    """A page like no other."""
    rows = (InkBox(20 + number, 24 + 37 * row, 180, 14) for row in range(height // 40))
    return page_with_ink(320, height, *rows)


async def recognized(target: str, *arguments: str | Path) -> tuple[int, list[dict[str, Any]], str]:
    """Exit status, records and the last line of the command line's words."""
    process = await asyncio.create_subprocess_exec(
        *(*COMMAND, "recognize", *map(str, arguments), "--target", target, "--concurrency", "1"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, [json.loads(line) for line in out.splitlines()], err.decode()


def costs(records: list[dict[str, Any]]) -> list[tuple[float, float, str | None]]:
    return [(record["billed_units"], record["cost"], record["currency"]) for record in records]


async def spent(fleet: Fleet) -> float:
    return await fleet.metric("ocrmux_cost_total", provider="baidu")


async def test_a_file_costs_what_its_pages_cost(tmp_path: Path) -> None:
    """Each page says its own cost, a page in tiles that of all of them, one from the cache nothing; the run says the
    sum. What the budget does not bear says so, and costs nothing."""
    files = {
        "a.tif": tiff_pages(scan(1), scan(2)),
        "b.png": encoded(scan(3), "PNG"),
        "c.png": encoded(scan(4, height=12_000), "PNG"),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    paths = [tmp_path / name for name in files]
    text = {"quota": {"requests_per_second": 1000}, "price_per_unit": PRICE}
    baidu = {"features": {"text": text}, "budget": {"cost_per_day": 6 * PRICE}}
    async with (
        running_fleet(tmp_path, standin={"quota": 0, "latency_s": 0.0}, baidu=baidu, currency="CNY") as fleet,
        service("preprocess_service", "PREPROCESS_", tmp_path, gateway_target=fleet.gateways[0].address) as preprocess,
    ):
        status, first, words = await recognized(preprocess.address, *paths)
        assert status == 0, words
        tiles = first[3]["billed_units"]
        assert costs(first) == [(1.0, PRICE, "CNY")] * 3 + [(tiles, round(tiles * PRICE, 9), "CNY")]
        assert 2 <= tiles <= 3
        assert f"cost {(3 + tiles) * PRICE:.6g} CNY" in words

        status, again, words = await recognized(preprocess.address, *paths)
        assert (status, costs(again)) == (0, [(0.0, 0.0, None)] * 4)
        assert "cost" not in words

        left = 6 - (3 + int(tiles))
        more = [tmp_path / f"e{number}.png" for number in range(left + 1)]
        for number, path in enumerate(more):
            path.write_bytes(encoded(scan(10 + number), "PNG"))
        status, last, words = await recognized(preprocess.address, *more)
        assert status == 1
        assert [record["reason"] for record in last] == [""] * left + ["PROVIDER_QUOTA"]
        assert costs(last) == [(1.0, PRICE, "CNY")] * left + [(0.0, 0.0, None)]
        stats = await fleet.standin.stats()
        assert stats["billed_units"] == 6
        assert await spent(fleet) == pytest.approx(6 * PRICE)
