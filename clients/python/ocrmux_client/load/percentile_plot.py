"""Latency by percentile, as an SVG that stands alone."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ocrmux_client.load.latency_histogram import LatencyHistogram, highest_of_bucket
from ocrmux_client.load.load_report import LoadReport

_WIDTH, _HEIGHT = 760, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 46, 50
_COLOURS = {"response time": "#c0392b", "service time": "#2471a3"}
_NINES = (0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999)


def percentile_svg(report: LoadReport) -> str:
    """Response and service time over the percentile, which is drawn by the nines; the same report gives the same."""
    curves = {"response time": report.tally.response, "service time": report.tally.service}
    if report.rate_per_s is None:
        del curves["response time"]
    most = max((histogram.max_ms for histogram in curves.values()), default=0.0) or 1.0
    count = max((histogram.count for histogram in curves.values()), default=0)
    axes = _Axes(_nice(most), max(1.0, math.log10(max(10, count))))
    rate = "closed loop" if report.rate_per_s is None else f"{report.rate_per_s:.1f} items/s"
    body = [*axes.grid(), *(axes.curve(name, histogram) for name, histogram in curves.items())]
    body += [axes.legend(place, name) for place, name in enumerate(curves)]
    title = f"Latency by percentile: {rate}, {report.tally.answered} items answered, {report.tally.failed} failed"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        f'font-size="12">\n<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>\n'
        f'<text x="{_LEFT}" y="22" font-size="14">{title}</text>\n' + "\n".join(body) + "\n</svg>\n"
    )


class _Axes:
    """Milliseconds upwards, nines to the right."""

    def __init__(self, most_ms: float, nines: float) -> None:
        self._most_ms = most_ms
        self._nines = nines

    def grid(self) -> Iterator[str]:
        """Lines with their labels."""
        for place in range(6):
            value = self._most_ms * place / 5
            yield _line(_LEFT, self._y(value), _WIDTH - _RIGHT, self._y(value))
            yield _text(_LEFT - 8, self._y(value) + 4, f"{value:g}", "end")
        for share in _NINES:
            if -math.log10(1 - share) <= self._nines:
                yield _line(self._x(share), _TOP, self._x(share), _HEIGHT - _BOTTOM)
                yield _text(self._x(share), _HEIGHT - _BOTTOM + 18, f"{share * 100:g} %", "middle")
        yield _text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 12, "percentile", "middle")
        yield _text(_LEFT - 8, _TOP - 10, "ms", "end")

    def curve(self, name: str, histogram: LatencyHistogram) -> str:
        """A step a bucket."""
        points, seen, before = [], 0, 0.0
        for value_us, count in histogram.buckets():
            value_ms = min(highest_of_bucket(value_us) / 1000, histogram.max_ms)
            points.append((self._x(before), self._y(value_ms)))
            seen += count
            before = seen / histogram.count
            points.append((self._x(before), self._y(value_ms)))
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        return f'<polyline fill="none" stroke="{_COLOURS[name]}" stroke-width="2" points="{drawn}"/>'

    def legend(self, place: int, name: str) -> str:
        """The name in its colour."""
        return f'<text x="{_LEFT + 14}" y="{_TOP + 18 + 18 * place}" fill="{_COLOURS[name]}">{name}</text>'

    def _x(self, share: float) -> float:
        nines = min(self._nines, -math.log10(1 - share) if share < 1 else self._nines)
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * nines / self._nines

    def _y(self, value_ms: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * value_ms / self._most_ms


def _nice(most: float) -> float:
    """The next round number."""
    power = 10.0 ** math.floor(math.log10(most))
    return next(step * power for step in (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0) if step * power >= most)


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#ddd"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#444">{text}</text>'
