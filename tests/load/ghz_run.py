"""ghz on a running service: its configurations, what it sends, and what it found."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ocrmux_client.load.drawn_page import PageDrawer

ROOT = Path(__file__).resolve().parents[2]
GHZ = ROOT / "build" / "tools" / "ghz"
CONFIGS = Path(__file__).parent / "ghz"
PAGES = 16
"""Distinct images: one a unary call by turns, all in each stream."""
_RECOGNITION = {"features": ["FEATURE_TEXT"], "cache_policy": "CACHE_POLICY_BYPASS"}
_LIMIT_S = 120.0


@dataclass(frozen=True, slots=True)
class GhzResult:
    """What ghz found: times in ms, of a call each; a bidirectional call is a whole stream."""

    name: str
    concurrency: int
    calls: int
    errors: int
    seconds: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    told: dict[str, int]

    @property
    def items_a_call(self) -> int:
        """Images that one call has read."""
        return PAGES if self.name.startswith("bidi") else 1

    @property
    def items_per_s(self) -> float:
        """Images of calls that ended well, a second."""
        return (self.calls - self.errors) * self.items_a_call / self.seconds


def configurations() -> list[Path]:
    """In the order in which they are run."""
    return sorted(CONFIGS.glob("*.json"), key=lambda path: (not path.stem.startswith("unary"), _concurrency(path)))


def write_data(folder: Path) -> None:
    """The messages that the configurations send, in ghz's JSON: bytes are base64, enums go by name.

    The cache is bypassed, so that each image is read by the provider. A stream begins with its config.
    """
    drawer = PageDrawer()
    items = [
        {"request_id": f"{number:04d}", "image": {"content": base64.b64encode(drawer.page(number)).decode()}}
        for number in range(PAGES)
    ]
    unary = [{"recognition": _RECOGNITION, "item": item} for item in items]
    stream = [{"config": {"recognition": _RECOGNITION}}, *({"item": item} for item in items)]
    for name, messages in (("unary.json", unary), ("bidi.json", stream)):
        (folder / name).write_text(json.dumps(messages))


async def run_ghz(
    config: Path,
    address: str,
    folder: Path,
    *,
    calls: int | None = None,
    started: Callable[[int], None] = lambda _: None,
) -> GhzResult:
    """Runs a configuration in the folder that has the data; leaves ghz's own report there as ``ghz_NAME.json``.

    ``calls``: so many, instead of the configuration's time. ``started`` hears of ghz's process id. Raises RuntimeError
    when ghz fails, TimeoutError when it takes more than two minutes.
    """
    own, out = folder / f"{config.stem}.config.json", folder / f"ghz_{config.name}"
    _write_config(config, own, calls)
    process = await asyncio.create_subprocess_exec(
        GHZ, "--config", own, "--format", "json", "--output", out, address,
        cwd=folder, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    started(process.pid)
    try:
        said, _ = await asyncio.wait_for(process.communicate(), _LIMIT_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"ghz ended with {process.returncode}: {said.decode(errors='replace')[-2000:]}")
    return _result(config.stem, json.loads(out.read_text()))


def _write_config(config: Path, own: Path, calls: int | None) -> None:
    settings: dict[str, Any] = json.loads(config.read_text())
    if calls is not None:
        del settings["duration"], settings["duration-stop"]
        settings["total"] = calls
    own.write_text(json.dumps(settings))


def _result(name: str, report: dict[str, Any]) -> GhzResult:
    latencies = {each["percentage"]: each["latency"] / 1e6 for each in report["latencyDistribution"] or ()}
    told: dict[str, int] = report["errorDistribution"] or {}
    calls = int(report["count"])
    return GhzResult(
        name=name,
        concurrency=int(report["options"]["concurrency"]),
        calls=calls,
        errors=calls - int((report["statusCodeDistribution"] or {}).get("OK", 0)),
        seconds=report["total"] / 1e9,
        p50_ms=latencies.get(50, 0.0),
        p95_ms=latencies.get(95, 0.0),
        p99_ms=latencies.get(99, 0.0),
        told=told,
    )


def _concurrency(path: Path) -> int:
    return int(path.stem.rpartition("_")[2])
