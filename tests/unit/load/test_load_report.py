"""What a benchmark says of itself."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest
from rich.console import Console

from ocrmux_client.items import ReadingConfig
from ocrmux_client.load.arrivals import Spacing
from ocrmux_client.load.bench_run import BenchOrder
from ocrmux_client.load.load_images import DrawnImages
from ocrmux_client.load.load_report import LoadReport
from ocrmux_client.load.load_run import LoadOrder
from ocrmux_client.load.load_table import load_tables
from ocrmux_client.load.load_tally import ItemOutcome, LoadTally
from ocrmux_client.load.percentile_plot import percentile_svg
from ocrmux_client.load.rate import Rate
from ocrmux_client.load.send_plan import Arrival
from tests.fakes.stub_servers import pages_of

WARM_UP_S, SPAN_S, RATE = 1.0, 10.0, 10.0


def report(
    *, late_s: float = 0.0, wait_s: float = 0.0, took_s: float = 0.02, reason: str = "", lost: int = 0
) -> LoadReport:
    """A load of ten items a second, each sent and answered as told; the last ``lost`` found no room."""
    order = BenchOrder(
        LoadOrder(ReadingConfig(), DrawnImages(1, 1, unique=False), 4, 32, 30.0),
        Rate(per_s=RATE),
        Spacing.UNIFORM,
        WARM_UP_S,
        SPAN_S,
        1,
    )
    tally = LoadTally(WARM_UP_S, WARM_UP_S + SPAN_S)
    arrivals = [Arrival(number, number / RATE) for number in range(round((WARM_UP_S + SPAN_S) * RATE))]
    for arrival in arrivals[: len(arrivals) - lost]:
        sent_s = arrival.due_s + wait_s
        tally.sent(arrival, sent_s, late_s)
        answer = pages_of(str(arrival.number), f"error={reason}".encode() if reason else b"page")[0]
        outcome = ItemOutcome()
        outcome.take(answer)
        tally.taken(arrival, sent_s, sent_s + took_s, outcome)
    for arrival in arrivals[len(arrivals) - lost :]:
        tally.left_over(arrival, 40.0, was_sent=False)
    return LoadReport("127.0.0.1:50051", order, tally, RATE, None, interrupted=False)


def test_a_load_that_went_well_says_so() -> None:
    """All hundred items, the wanted rate, nothing to warn of."""
    told = report()
    assert (told.tally.arrivals, told.tally.answered, told.has_failures) == (100, 100, False)
    assert told.sent_per_s == told.due_per_s == told.answered_per_s == RATE
    assert told.warnings() == []


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ({"late_s": 0.05}, "the driver itself was up to 50 ms late"),
        ({"wait_s": 4.0, "lost": 30}, "items a second found room"),
        ({"lost": 7}, "7 items never found room"),
    ],
)
def test_what_makes_figures_other_than_they_seem_is_told(kind: dict[str, float], words: str) -> None:
    """A late driver, a rate that was not reached, items that were not sent."""
    told = report(**kind)  # type: ignore[arg-type]  # names and values are those of the function
    assert any(words in warning for warning in told.warnings())


def test_waiting_is_in_the_response_time_alone() -> None:
    """Half a second without room, 20 ms at the server."""
    told = json.loads(report(wait_s=0.5).as_json())
    assert told["service_ms"]["p50"] == pytest.approx(20, rel=0.01)
    assert told["response_ms"]["p50"] == pytest.approx(520, rel=0.01)


def test_failed_items_are_counted_and_have_no_latency() -> None:
    """A quick refusal makes no load look fast."""
    told = report(reason="IMAGE_UNDECODABLE")
    assert told.has_failures
    assert told.tally.errors == {"IMAGE_UNDECODABLE": 100}
    assert told.tally.response.count == told.tally.service.count == 0


@pytest.mark.parametrize("kind", [{}, {"wait_s": 0.3}, {"reason": "INTERNAL"}, {"lost": 110}])
def test_tables_and_drawing_stand_for_any_load(kind: dict[str, float]) -> None:
    """Also for one of which nothing was answered; the rows of the histogram hold every item once."""
    told = report(**kind)  # type: ignore[arg-type]  # names and values are those of the function
    assert ET.fromstring(percentile_svg(told)).tag.endswith("svg")
    console = Console(width=200)
    with console.capture() as captured:
        console.print(load_tables(told))
    bars = [line.split() for line in captured.get().splitlines() if line.rstrip().endswith("%") and " - " in line]
    assert sum(int(words[-2]) for words in bars) == told.tally.response.count
