"""What a benchmark has to say, for people and for programs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

from ocrmux_client.load.bench_run import BenchOrder
from ocrmux_client.load.latency_histogram import LatencyHistogram
from ocrmux_client.load.load_tally import NOT_SENT, LoadTally

PERCENTS = (50.0, 90.0, 95.0, 99.0, 99.9)
LATE_MS = 10.0
ENOUGH = 0.95


@dataclass(frozen=True, slots=True)
class LoadReport:
    """A load that is over, or was broken off. ``rate_per_s`` is None for a closed loop."""

    target: str
    order: BenchOrder
    tally: LoadTally
    rate_per_s: float | None
    maximum_per_s: float | None
    interrupted: bool

    @property
    def has_failures(self) -> bool:
        """Whether an item has no result, or a stream broke."""
        return bool(self.tally.failed or self.tally.reconnects or not self.tally.answered)

    @property
    def due_per_s(self) -> float:
        """Arrivals a second that were really due: of a random load not quite the rate."""
        return self._per_s(self.tally.arrivals)

    @property
    def sent_per_s(self) -> float:
        """Items a second that were sent."""
        return self._per_s(self.tally.sent_in_time)

    @property
    def answered_per_s(self) -> float:
        """Items a second whose result came."""
        return self._per_s(self.tally.answered_in_time)

    def warnings(self) -> list[str]:
        """What makes the figures other than they seem, a line each."""
        tally, told = self.tally, []
        late_ms = tally.late.percentile_ms(99)
        if late_ms > LATE_MS:
            told.append(
                f"the driver itself was up to {late_ms:.0f} ms late (p99): its machine is too busy for this load, "
                "and response times are worse than the target's"
            )
        if self.rate_per_s is not None and self.sent_per_s < ENOUGH * self.due_per_s:
            told.append(
                f"only {self.sent_per_s:.1f} of {self.due_per_s:.1f} items a second found room: the rate is above what "
                "the target answers, or --streams times --window is too small for it"
            )
        elif self._is_steady and self.answered_per_s < ENOUGH * self.due_per_s:
            told.append(
                f"only {self.answered_per_s:.1f} of {self.due_per_s:.1f} items a second were answered in the time: "
                "the rate is above what the target answers"
            )
        if unsent := tally.errors[NOT_SENT]:
            told.append(
                f"{unsent} items never found room; they count with the time that they waited, which is too little"
            )
        if tally.reconnects:
            told.append(f"a stream broke {tally.reconnects} times; what was on it failed, and is not sent again")
        return told

    def as_json(self) -> str:
        """Everything, as one JSON object."""
        return json.dumps(self._content(), ensure_ascii=False, indent=1) + "\n"

    @property
    def _is_steady(self) -> bool:
        """Whether what was answered in the measured time can be compared with what was due in it."""
        open_loop = self.rate_per_s is not None and not self.interrupted
        return open_loop and self.tally.response.percentile_ms(50) / 1000 < self.order.warm_up_s

    def _per_s(self, count: int) -> float:
        return count / self.tally.measured_s if self.tally.measured_s else 0.0

    def _content(self) -> dict[str, Any]:
        tally = self.tally
        return {
            "ocrmux": metadata.version("ocrmux"),
            "target": self.target,
            "order": self._order_content(),
            "interrupted": self.interrupted,
            "measured_s": round(tally.measured_s, 3),
            "rates_per_s": {
                "maximum": self.maximum_per_s,
                "wanted": self.rate_per_s,
                "due": self.due_per_s,
                "sent": self.sent_per_s,
                "answered": self.answered_per_s,
            },
            "items": {"arrivals": tally.arrivals, "answered": tally.answered, "failed": tally.failed},
            "errors": dict(tally.errors),
            "reconnects": tally.reconnects,
            "pages": tally.pages,
            "cache": dict(tally.cache),
            "providers": dict(tally.providers),
            "attempts": tally.attempts,
            "fallbacks": tally.fallbacks,
            "billed_units": tally.billed_units,
            "cost": dict(tally.cost),
            "response_ms": figures(tally.response),
            "service_ms": figures(tally.service),
            "driver_late_ms": figures(tally.late),
            "parts_ms": {part: figures(histogram) for part, histogram in tally.parts.items()},
            "seconds": [{"second": at, **asdict(second)} for at, second in sorted(tally.seconds.items())],
            "histograms_us": {
                "response": list(tally.response.buckets()),
                "service": list(tally.service.buckets()),
            },
            "warnings": self.warnings(),
        }

    def _order_content(self) -> dict[str, Any]:
        order, config = self.order, self.order.load.config
        return {
            "loop": "closed" if order.rate.is_closed_loop else "open",
            "of_maximum": order.rate.of_maximum,
            "arrivals": order.spacing.value,
            "warm_up_s": order.warm_up_s,
            "duration_s": order.duration_s,
            "drain_s": order.load.drain_s,
            "streams": order.load.streams,
            "window": order.load.window,
            "seed": order.seed,
            "images": order.load.images.described(),
            "features": [feature.value for feature in config.features],
            "provider": config.provider,
            "route": config.route,
            "profile": config.profile,
            "cache": config.cache.value,
        }


def figures(histogram: LatencyHistogram) -> dict[str, float | int]:
    """Its percentiles, mean and most in ms, and how many values it has."""
    percentiles = {f"p{percent:g}": histogram.percentile_ms(percent) for percent in PERCENTS}
    return {**percentiles, "max": histogram.max_ms, "mean": round(histogram.mean_ms, 3), "count": histogram.count}
