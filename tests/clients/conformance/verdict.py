"""What differs between what a driver told and what its scenario expects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tests.clients.conformance.driver_run import DriverRun
from tests.clients.conformance.item_files import Sent
from tests.clients.conformance.scenario import Bounds, Scenario

_MOST_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Counts:
    """What the servers counted during the run; None where nobody asked."""

    billed: float
    sent: int | None


def differences(scenario: Scenario, sent: Sequence[Sent], run: DriverRun, counts: Counts) -> list[str]:
    """One line each, the first dozen; none where the run was as expected."""
    found = [*_of_the_end(scenario, run), *_of_the_bounds(scenario, run, counts), *_of_answers(scenario, sent, run)]
    more = [f"… and {len(found) - _MOST_SHOWN} more"] if len(found) > _MOST_SHOWN else []
    return found[:_MOST_SHOWN] + more


def _of_the_end(scenario: Scenario, run: DriverRun) -> Iterator[str]:
    expect, end = scenario.expect, run.end
    told, wanted = _words(end["code"], end["reason"]), _words(expect.end, expect.reason)
    if told != wanted:
        yield f"end: {told} ({end.get('message', '')}), expected {wanted}"
    if expect.retry_after and not end.get("retry_after_s"):
        yield f"end: retry_after_s is {end.get('retry_after_s')}"
    for name in expect.providers:
        if name not in run.providers:
            yield f"providers: {name} is not among {run.providers}"
    for reconnect in run.reconnects:
        cause = _words(reconnect["code"], reconnect["reason"])
        if expect.causes and cause not in expect.causes:
            yield f"reconnect: because of {cause}, expected one of {expect.causes}"
        if reconnect["failures"] < 1 or reconnect["wait_s"] < 0:
            yield f"reconnect: {reconnect}"


def _of_the_bounds(scenario: Scenario, run: DriverRun, counts: Counts) -> Iterator[str]:
    expect = scenario.expect
    measured: list[tuple[str, float | None, Bounds | None]] = [
        ("reconnects", len(run.reconnects), expect.reconnects),
        ("billed", counts.billed, expect.billed),
        ("billed while held", run.billed_while_held, expect.billed_while_held),
        ("drawn while held", run.drawn_while_held, expect.drawn_while_held),
        ("drawn", run.end.get("drawn") or 0, expect.drawn),
        ("items sent", counts.sent, expect.sent),
        ("growth of memory, MB", run.memory.growth_mb, expect.rss_growth_mb),
    ]
    for name, value, bounds in measured:
        if bounds is not None and (value is None or not _within(value, bounds)):
            yield f"{name}: {value}, expected {_range(bounds)}"


def _of_answers(scenario: Scenario, sent: Sequence[Sent], run: DriverRun) -> Iterator[str]:
    expect = scenario.expect
    by_id: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for answer in run.answers:
        by_id[answer["id"]].append(answer)
    known = {each.entry["id"]: each for each in sent}
    for stray in [request_id for request_id in by_id if request_id not in known]:
        yield f"{stray!r}: answered, and never asked for"
    for request_id, each in known.items():
        if request_id in by_id:
            for difference in _of_item(scenario, each, by_id[request_id]):
                yield f"{request_id!r}: {difference}"
    without = [request_id for request_id in known if request_id not in by_id]
    if not _within(len(without), expect.unanswered):
        yield f"items without an answer: {len(without)}, expected {_range(expect.unanswered)}: {without[:5]}"
    if expect.in_order:
        order = list(dict.fromkeys(answer["id"] for answer in run.answers if answer["id"] in known))
        wanted = [request_id for request_id in known if request_id in by_id]
        if order != wanted:
            place = next(i for i, pair in enumerate(zip(order, wanted, strict=True)) if pair[0] != pair[1])
            yield f"order: {order[place]!r} came where {wanted[place]!r} should"


def _of_item(scenario: Scenario, sent: Sent, answers: list[dict[str, Any]]) -> Iterator[str]:
    """An item that was left in the middle of its pages is told by ``unanswered`` being allowed."""
    items, expect = sent.items, scenario.expect
    left = expect.unanswered != (0, 0)
    pages = [answer["page"] for answer in answers]
    wanted = [items.error_page] if items.code != "OK" else list(range(1, items.pages + 1))
    if pages != wanted and not (left and pages == wanted[: len(pages)]):
        yield f"pages {pages}, expected {wanted}"
    last = [answer["last_page"] for answer in answers]
    if last != [False] * (len(last) - 1) + [True] and not left:
        yield f"last_page is {last}"
    for answer in answers:
        told = _words(answer["code"], answer["reason"])
        if told != (wanted_code := _words(items.code, items.reason)):
            yield f"{told}, expected {wanted_code}"
        elif missing := [key for key in items.metadata if key not in answer["metadata"]]:
            yield f"metadata {answer['metadata']} lacks {missing}"
        elif answer["code"] == "OK":
            yield from _of_reading(scenario, sent, answer)
    texts = [answer["text"] for answer in answers if answer["code"] == "OK"]
    if len(set(texts)) < len(texts):
        yield "two pages have one text"


def _of_reading(scenario: Scenario, sent: Sent, answer: dict[str, Any]) -> Iterator[str]:
    outcomes = scenario.expect.cache
    if outcomes and answer["cache"] not in outcomes:
        yield f"cache {answer['cache']}, expected {' or '.join(outcomes)}"
    if not answer["provider"]:
        yield "no provider is told"
    if sent.text and answer["text"].strip() != sent.text:
        yield f"text {answer['text'][:40]!r}, expected {sent.text!r}"
    elif not sent.items.fields and not answer["text"]:
        yield "no text"
    if missing := [name for name in sent.items.fields if name not in answer["fields"]]:
        yield f"fields {sorted(answer['fields'])} lack {missing}"


def _words(code: str, reason: str) -> str:
    return f"{code} {reason}".strip()


def _within(value: float, bounds: Bounds) -> bool:
    least, most = bounds
    return (least is None or value >= least) and (most is None or value <= most)


def _range(bounds: Bounds) -> str:
    least, most = bounds
    if least == most:
        return f"{least:g}" if least is not None else "anything"
    return " and ".join(
        f"{words} {bound:g}" for words, bound in (("at least", least), ("at most", most)) if bound is not None
    )
