"""A benchmark on a terminal: counts, percentiles, and the shape of the latencies."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ocrmux_client.load.latency_histogram import LatencyHistogram
from ocrmux_client.load.load_report import PERCENTS, LoadReport

_BAR_WIDTH = 40
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_STEPS = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)
_ROWS_MAX = 20


def load_tables(report: LoadReport) -> RenderableType:
    """Everything that a person wants to know first; the rest stands in the JSON."""
    parts: list[RenderableType] = [_head(report), Text(), _counts(report), Text(), _percentiles(report)]
    if report.tally.response.count:
        parts += [Text(), Text("response time, ms: how many", "bold"), *_bars(report.tally.response)]
    for warning in report.warnings():
        parts += [Text(), Text(f"! {warning}", "yellow")]
    return Group(*parts)


def _head(report: LoadReport) -> Text:
    order, load = report.order, report.order.load
    if report.rate_per_s is None:
        loop = "closed loop, as fast as items are answered"
    else:
        share = f" ({order.rate.of_maximum:.0%} of {report.maximum_per_s:.1f})" if order.rate.of_maximum else ""
        loop = f"open loop, {report.rate_per_s:.1f} items/s{share}, {order.spacing.value}"
    broken_off = "interrupted after " if report.interrupted else ""
    return Text(
        f"{loop}; {broken_off}{report.tally.measured_s:.1f} s after {order.warm_up_s:g} s of warm-up; "
        f"{load.streams} streams, {load.window} in flight on each at most; cache: {load.config.cache.value}"
    )


def _counts(report: LoadReport) -> Table:
    tally = report.tally
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    table.add_row("items", f"{tally.arrivals} due, {tally.answered} answered, {tally.failed} failed")
    if tally.errors:
        table.add_row("failed", Text(_listed(tally.errors), "red"))
    wanted = "" if report.rate_per_s is None else f"{report.due_per_s:.1f} due, "
    table.add_row("items/s", f"{wanted}{report.sent_per_s:.1f} sent, {report.answered_per_s:.1f} answered")
    table.add_row("pages", f"{tally.pages} from {_listed(tally.providers) or 'nobody'}")
    table.add_row("cache", _listed(tally.cache) or "-")
    cost = ", ".join(f"{value:.4g} {currency}" for currency, value in sorted(tally.cost.items()))
    table.add_row("billed", f"{tally.billed_units:g} units{f', {cost}' if cost else ''}, {tally.attempts} calls")
    return table


def _percentiles(report: LoadReport) -> Table:
    tally = report.tally
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1))
    table.add_column("ms", no_wrap=True)
    for percent in PERCENTS:
        table.add_column(f"p{percent:g}", justify="right")
    table.add_column("max", justify="right")
    if report.rate_per_s is not None:
        table.add_row("response, from when it was due", *_figures(tally.response))
    table.add_row("service, from when it was sent", *_figures(tally.service))
    if report.rate_per_s is not None:
        table.add_row("waiting to be sent: the difference", *_difference(tally.response, tally.service))
    for part, histogram in tally.parts.items():
        table.add_row(f"  {part.replace('_', ' ')}, as the services say", *_figures(histogram), style="dim")
    return table


def _figures(histogram: LatencyHistogram) -> Iterator[str]:
    for percent in PERCENTS:
        yield _ms(histogram.percentile_ms(percent))
    yield _ms(histogram.max_ms)


def _difference(response: LatencyHistogram, service: LatencyHistogram) -> Iterator[str]:
    for percent in PERCENTS:
        yield _ms(max(0.0, response.percentile_ms(percent) - service.percentile_ms(percent)))
    yield _ms(max(0.0, response.max_ms - service.max_ms))


def _ms(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _bars(histogram: LatencyHistogram) -> Iterator[Text]:
    """A row a range of latencies, in steps of about a quarter; small ones are told together."""
    counts: Counter[int] = Counter()
    for value_us, count in histogram.buckets():
        counts[_step_of(value_us / 1000)] += count
    first, last = min(counts), max(counts)
    first = max(first, last - _ROWS_MAX + 1)
    merged = [step for step in counts if step < first]
    for step in merged:
        counts[first] += counts.pop(step)
    most = max(counts.values())
    for step in range(first, last + 1):
        count = counts[step]
        low = "0" if step == first and merged else f"{_edge(step):g}"
        yield Text.assemble(
            (f"{low:>7} - {_edge(step + 1):<7g}", "dim"),
            (_bar(count / most), "cyan"),
            f" {count} ",
            (_share(count, histogram.count), "dim"),
        )


def _step_of(value_ms: float) -> int:
    """The number of the step that the value lies in; below a hundredth of a millisecond all are one."""
    value_ms = max(value_ms, 0.01)
    decade = math.floor(math.log10(value_ms))
    place = sum(value_ms >= step * 10.0**decade * (1 - 1e-9) for step in _STEPS) - 1
    return decade * len(_STEPS) + max(0, place)


def _edge(step: int) -> float:
    decade, place = divmod(step, len(_STEPS))
    return _STEPS[place] * 10.0**decade


def _bar(share: float) -> str:
    eighths = round(share * _BAR_WIDTH * 8) or (1 if share else 0)
    return (_EIGHTHS[8] * (eighths // 8) + _EIGHTHS[eighths % 8].strip()).ljust(1)


def _share(count: int, total: int) -> str:
    return f"{count / total:.1%}" if count else ""


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=lambda each: (-each[1], each[0])))
