"""A whole benchmark: does it work at all, how much is the most, and then the load itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import grpc

from ocrmux_client.backoff import Backoff
from ocrmux_client.errors import CONNECTION_LOST, OcrMuxError
from ocrmux_client.load.arrivals import Spacing, arrival_times
from ocrmux_client.load.load_run import LoadOrder, LoadRun
from ocrmux_client.load.load_tally import LoadTally
from ocrmux_client.load.load_target import LoadTarget
from ocrmux_client.load.rate import Rate
from ocrmux_client.load.send_plan import SendPlan

FIRST_ITEM_S = 120.0
SATURATION_MAX_S = 10.0
_TRIALS = 4


@dataclass(frozen=True, slots=True)
class BenchOrder:
    """What load, for how long. Arrivals within the first ``warm_up_s`` seconds count nowhere; ``duration_s`` follow."""

    load: LoadOrder
    rate: Rate
    spacing: Spacing
    warm_up_s: float
    duration_s: float
    seed: int


@dataclass(frozen=True, slots=True)
class Stage:
    """What is going on, for who shows it. ``lasts_s``: as planned, without the time to drain."""

    name: str
    run: LoadRun
    lasts_s: float


class BenchRun:
    """The benchmark of one target; for one use. ``on_stage`` hears of each stage as it begins.

    ``measured`` is the load itself once it has begun, and right at any time; ``rate_per_s`` what it wants, None in a
    closed loop; ``maximum_per_s`` what was found first where the rate is a share of it.
    """

    def __init__(
        self,
        target: LoadTarget,
        order: BenchOrder,
        on_stage: Callable[[Stage], None],
        on_break: Callable[[OcrMuxError], None],
    ) -> None:
        self._target = target
        self._order = order
        self._on_stage = on_stage
        self._on_break = on_break
        self.maximum_per_s: float | None = None
        self.rate_per_s: float | None = order.rate.per_s
        self.measured: LoadTally | None = None

    async def run(self) -> None:
        """Returns when the load is over. Raises OcrMuxError when the target does not answer, or cannot be reached."""
        await self._read_one()
        order = self._order
        if order.rate.of_maximum is not None:
            self.maximum_per_s = await self._find_maximum()
            self.rate_per_s = order.rate.at_maximum(self.maximum_per_s)
        ends_s = order.warm_up_s + order.duration_s
        due_times = arrival_times(order.spacing, self.rate_per_s, ends_s, order.seed) if self.rate_per_s else None
        self.measured = LoadTally(order.warm_up_s, ends_s)
        run = LoadRun(self._target, order.load, SendPlan(due_times, ends_s), self.measured, self._on_break)
        self._on_stage(Stage("the load", run, ends_s))
        await run.run()

    async def _read_one(self) -> None:
        """One image before the clock starts: engines get ready, and what cannot work is told at once.

        A stream that was refused while it was written to may not say why: then it is tried again.
        """
        for trial in range(1, _TRIALS + 1):
            try:
                await self._try_one()
            except OcrMuxError as error:
                if error.reason != CONNECTION_LOST or trial == _TRIALS:
                    raise
            else:
                return

    async def _try_one(self) -> None:
        tally = LoadTally(0.0, 1.0)
        load = replace(self._order.load, streams=1, drain_s=FIRST_ITEM_S)
        once = Backoff(attempts=0)
        run = LoadRun(self._target, load, SendPlan(iter([0.0]), 1.0), tally, self._on_break, once)
        self._on_stage(Stage("the first image", run, 0.0))
        await run.run()
        if tally.failed:
            message = f"the first image was not read: {', '.join(tally.errors)}; nothing more was sent"
            raise OcrMuxError(grpc.StatusCode.ABORTED, next(iter(tally.errors)), message)

    async def _find_maximum(self) -> float:
        """Items a second that are answered while all windows are kept full. Raises OcrMuxError where there are none.

        What is in flight at the end is cancelled, so that it neither costs anything nor stands before the load.
        """
        lasts_s = min(SATURATION_MAX_S, self._order.duration_s)
        ends_s = self._order.warm_up_s + lasts_s
        tally = LoadTally(self._order.warm_up_s, ends_s)
        load = replace(self._order.load, drain_s=0.0)
        run = LoadRun(self._target, load, SendPlan(None, ends_s), tally, self._on_break)
        self._on_stage(Stage("the maximum", run, ends_s))
        await run.run()
        if not tally.answered_in_time:
            told = f": {', '.join(tally.errors)}" if tally.errors else ""
            message = f"nothing was read within {lasts_s:g} s, so there is no maximum{told}"
            raise OcrMuxError(grpc.StatusCode.ABORTED, "", message)
        return tally.answered_in_time / tally.measured_s
