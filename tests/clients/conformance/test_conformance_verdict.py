"""The harness itself: it finds what a client does wrong, and refuses scenarios that say nothing it knows."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tests.clients.conformance.driver_run import DriverFailed, DriverRun
from tests.clients.conformance.item_files import Sent
from tests.clients.conformance.scenario import Items, Scenario, every_scenario
from tests.clients.conformance.verdict import Counts, differences

ITEMS: list[dict[str, Any]] = [
    {"id": "a"},
    {"id": "b", "pages": 2, "content": "tiff"},
    {"id": "c", "code": "NOT_FOUND", "reason": "GONE"},
]


def scenario_of(**expect: Any) -> Scenario:
    given = {"name": "made", "summary": "Made.", "driver": {"items": ITEMS}, "expect": expect}
    return Scenario.model_validate(given)


def answer(request_id: str, page: int = 1, *, last: bool = True, **changes: Any) -> dict[str, Any]:
    fields = {"code": "OK", "reason": "", "cache": "MISS", "provider": "baidu", "metadata": {}, "fields": {}}
    text = f"text {request_id} {page}"
    return {"event": "answer", "id": request_id, "page": page, "last_page": last, "text": text, **fields, **changes}


RIGHT = [
    answer("a"),
    answer("b", 1, last=False),
    answer("b", 2),
    answer("c", 0, code="NOT_FOUND", reason="GONE"),
]
END = {"event": "end", "code": "OK", "reason": ""}
RECONNECT = {"event": "reconnect", "failures": 1, "wait_s": 0.1, "code": "UNAVAILABLE", "reason": ""}


def found(*events: dict[str, Any], **expect: Any) -> list[str]:
    """The differences of a run that told these events, and in which three items were sent and billed."""
    run = DriverRun()
    for event in events:
        run.take(event)
    items = [Sent(Items(**each), {"id": each["id"]}, f"text {each['id']} 1" * (each["id"] == "a")) for each in ITEMS]
    return differences(scenario_of(**{"in_order": True, **expect}), items, run, Counts(billed=3, sent=3))


def test_a_right_run_has_no_differences() -> None:
    """Answers in order, pages once, errors as expected, counts within their bounds."""
    assert found(*RIGHT, END, billed=3, sent=3, cache=["MISS"]) == []
    assert found(*RIGHT, RECONNECT, END, reconnects=[1, None], causes=["UNAVAILABLE"]) == []


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([*RIGHT[:3], END], "items without an answer: 1"),
        ([*RIGHT, RIGHT[0], END], "'a': pages [1, 1]"),
        ([RIGHT[0], RIGHT[2], RIGHT[3], END], "'b': pages [2]"),
        ([RIGHT[0], RIGHT[2], RIGHT[1], RIGHT[3], END], "'b': pages [2, 1]"),
        ([RIGHT[0], {**RIGHT[1], "last_page": True}, RIGHT[2], RIGHT[3], END], "'b': last_page is [True, True]"),
        ([RIGHT[0], {**RIGHT[1], "text": "text b 2"}, RIGHT[2], RIGHT[3], END], "'b': two pages have one text"),
        ([RIGHT[3], *RIGHT[:3], END], "order: 'c' came where 'a' should"),
        ([answer("a", text="text b 1"), *RIGHT[1:], END], "'a': text 'text b 1'"),
        ([answer("a", text=""), *RIGHT[1:], END], "'a': text ''"),
        ([answer("a", code="INTERNAL", reason="INTERNAL"), *RIGHT[1:], END], "'a': INTERNAL INTERNAL, expected OK"),
        ([*RIGHT[:3], answer("c", 0), END], "'c': OK, expected NOT_FOUND GONE"),
        ([*RIGHT, answer("stranger"), END], "'stranger': answered, and never asked for"),
        ([answer("a", cache="STORE"), *RIGHT[1:], END], "'a': cache STORE, expected MISS"),
        ([*RIGHT, RECONNECT, END], "reconnects: 1, expected 0"),
        ([*RIGHT, {**END, "code": "UNAVAILABLE"}], "end: UNAVAILABLE"),
    ],
)
def test_a_wrong_run_is_found(events: list[dict[str, Any]], words: str) -> None:
    """Each thing that a client can do wrong is a line that names it."""
    assert any(line.startswith(words) for line in found(*events, cache=["MISS"])), found(*events)


@pytest.mark.parametrize(
    ("expect", "words"),
    [
        ({"billed": 2}, "billed: 3, expected 2"),
        ({"billed": [4, 6]}, "billed: 3, expected at least 4 and at most 6"),
        ({"sent": [0, 2]}, "items sent: 3, expected at least 0 and at most 2"),
        ({"drawn": [1, None]}, "drawn: 0, expected at least 1"),
        ({"providers": ["baidu"]}, "providers: baidu is not among []"),
        ({"reconnects": [1, None]}, "reconnects: 0, expected at least 1"),
        ({"end": "OK", "retry_after": True}, "end: retry_after_s is None"),
    ],
)
def test_counts_out_of_bounds_are_found(expect: dict[str, Any], words: str) -> None:
    """Whatever is counted is compared with its bounds."""
    assert words in found(*RIGHT, END, **expect)


def test_a_driver_that_tells_something_else_has_failed() -> None:
    """An event that the protocol does not have is the driver's fault."""
    with pytest.raises(DriverFailed):
        DriverRun().take({"event": "guess"})


@pytest.mark.parametrize(
    "wrong",
    [
        {"expects": {}},
        {"events": [{"answers": 1, "do": ["explode gateway"]}]},
        {"events": [{"do": ["kill gateway"]}]},
        {"events": [{"answers": 1, "reconnects": 1, "do": ["kill gateway"]}]},
        {"driver": {"items": [{"id": "a", "content": "poem"}]}},
    ],
)
def test_a_scenario_says_nothing_unknown(wrong: dict[str, Any]) -> None:
    """A key, an action or a kind of content that there is not is refused when the file is read."""
    with pytest.raises(ValidationError):
        Scenario.model_validate({"name": "made", "summary": "Made.", "driver": {"items": []}, **wrong})


def test_every_scenario_says_in_one_sentence_what_it_is_about() -> None:
    """Files can be read, and each summary is a sentence."""
    for scenario in every_scenario():
        assert scenario.summary.endswith("."), scenario.name
        assert "\n" not in scenario.summary.strip(), scenario.name
