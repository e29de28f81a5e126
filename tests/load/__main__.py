"""``python -m tests.load``: ghz's six runs and ``ocrmux bench`` on the running pair, into docs/load.md."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from scripts import toolchains
from tests.bench.process_watch import ProcessWatch, watching
from tests.load.ghz_run import GHZ, ROOT, configurations, run_ghz, write_data
from tests.load.load_page import WatchedRun, load_page
from tests.load.load_plot import plot_load
from tests.load.load_rig import LoadRig, load_rig

OUT = ROOT / "build" / "load"
DOCS = ROOT / "docs"
_BENCH = ("--rate", "80%", "--duration", "20", "--warmup", "3", "--quiet")
_BENCH_LIMIT_S = 150.0


async def measure(folder: Path) -> bool:
    """Runs everything and writes the page; whether nothing failed."""
    OUT.mkdir(parents=True, exist_ok=True)
    write_data(OUT)
    async with load_rig(folder) as rig:
        runs = [await _watched(rig, config) for config in configurations()]
        bench, bench_watch = await _bench(rig)
    plot_load(DOCS / "images" / "load.svg", [run.result for run in runs], bench)
    (DOCS / "load.md").write_text(load_page(runs, bench, bench_watch), encoding="utf-8")
    unread = [run for run in runs if run.provider_calls != run.result.calls * run.result.items_a_call]
    for run in unread:
        print(f"{run.result.name}: the provider read {run.provider_calls} images", file=sys.stderr)
    return not unread and not any(run.result.errors for run in runs) and not bench["items"]["failed"]


async def _watched(rig: LoadRig, config: Path) -> WatchedRun:
    await rig.provider_calls()

    def started(pid: int) -> None:
        rig.driver_pid = pid

    async with watching(rig.members()) as watch:
        result = await run_ghz(config, rig.address, OUT, started=started)
    run = WatchedRun(result, watch, await rig.provider_calls())
    print(
        f"{result.name}: {result.items_per_s:.1f} images/s, p50 {result.p50_ms:.0f} ms, p99 {result.p99_ms:.0f} ms, "
        f"{result.errors} errors {result.told or ''}",
        flush=True,
    )
    return run


async def _bench(rig: LoadRig) -> tuple[dict[str, Any], ProcessWatch]:
    report = OUT / "bench.json"
    outputs = ("--out", report, "--histogram", OUT / "bench.hgrm", "--plot", OUT / "bench.svg")
    async with watching(rig.members()) as watch:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "from ocrmux_client.cli import main; main()", "bench",
            "--target", rig.address, *_BENCH, *outputs, stdin=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        rig.driver_pid = process.pid
        try:
            await asyncio.wait_for(process.wait(), _BENCH_LIMIT_S)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    if process.returncode not in (0, 1):
        raise RuntimeError(f"ocrmux bench ended with {process.returncode}")
    return json.loads(report.read_text()), watch


def main() -> int:
    """Exit status: 0, 1 when something failed, 2 where there is no ghz."""
    if not GHZ.exists():
        sys.stderr.write(
            f"there is no {GHZ.relative_to(ROOT)}: {toolchains.missing('go') or 'run make setup-go-tools'}\n"
        )
        return 2
    with tempfile.TemporaryDirectory(prefix="ocrmux-load-") as folder:
        return 0 if asyncio.run(measure(Path(folder))) else 1


if __name__ == "__main__":
    raise SystemExit(main())
