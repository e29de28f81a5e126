"""The fair queue over random arrivals, turns and departures."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocr_gateway.lanes.fair_queue import TURNS_BEFORE_LOWER, FairQueue, Place
from ocr_gateway.model import Caller, Priority

PRIORITIES = st.sampled_from(list(Priority))
CALLERS = st.builds(Caller, st.sampled_from("ab"), st.sampled_from("xyz"))
WEIGHTS = {"a": 1.0, "b": 3.0}
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("push"), CALLERS, PRIORITIES),
        st.tuples(st.just("pop"), st.none(), st.none()),
        st.tuples(st.just("leave"), st.integers(0, 50), st.none()),
    ),
    max_size=200,
)


@given(STEPS)
@settings(deadline=None)
def test_everyone_who_waits_has_exactly_one_turn(steps: list[tuple[str, object, object]]) -> None:
    """Whatever comes and goes: each item is popped once, or left, and the length is what is left."""
    queue: FairQueue[int] = FairQueue(WEIGHTS.__getitem__)
    waiting: dict[int, Place[int]] = {}
    for number, (step, who, priority) in enumerate(steps):
        if step == "push":
            assert isinstance(who, Caller)
            assert isinstance(priority, Priority)
            waiting[number] = queue.push(number, who, priority)
        elif step == "pop" and waiting:
            in_turn = queue.peek()
            assert queue.pop() == in_turn
            waiting.pop(in_turn)
        elif step == "leave" and waiting:
            assert isinstance(who, int)
            gone = sorted(waiting)[who % len(waiting)]
            place = waiting.pop(gone)
            assert queue.discard(place)
            assert not queue.discard(place)
        assert len(queue) == len(waiting) == sum(1 for _ in queue)
    assert sorted(queue.pop() for _ in range(len(queue))) == sorted(waiting)
    with pytest.raises(IndexError):
        queue.pop()


@given(st.lists(st.tuples(CALLERS, PRIORITIES), min_size=1, max_size=120))
@settings(deadline=None)
def test_items_of_one_source_and_priority_keep_their_order(arrivals: list[tuple[Caller, Priority]]) -> None:
    """First come, first served within a source."""
    queue: FairQueue[int] = FairQueue(WEIGHTS.__getitem__)
    for number, (caller, priority) in enumerate(arrivals):
        queue.push(number, caller, priority)
    order = [queue.pop() for _ in arrivals]
    for key in set(arrivals):
        of_key = [number for number in order if arrivals[number] == key]
        assert of_key == sorted(of_key)


@given(st.lists(CALLERS, min_size=1, max_size=60), PRIORITIES, st.data())
@settings(deadline=None)
def test_nobody_starves(others: list[Caller], priority: Priority, data: st.DataObject) -> None:
    """One item has its turn within a bound, however many others of any priority keep coming."""
    queue: FairQueue[str] = FairQueue(WEIGHTS.__getitem__)
    for caller in others:
        queue.push("other", caller, data.draw(PRIORITIES))
    queue.push("mine", Caller("a", "mine"), priority)
    turns = 0
    while queue.pop() != "mine":
        turns += 1
        queue.push("other", data.draw(CALLERS), data.draw(PRIORITIES))
        # Within the priority: at most 4 sources beside it and 3 turns of the tenant that weighs three times as much,
        # for each of them; and a priority has one turn in nine at the least, beside another one that starves.
        assert turns <= 5 * 4 * (TURNS_BEFORE_LOWER + 2)


@pytest.mark.parametrize("items", [40, 400])
def test_weights_show_as_turns(items: int) -> None:
    """While both have items waiting, the tenant that weighs three has three turns for the other one's one."""
    queue: FairQueue[str] = FairQueue(WEIGHTS.__getitem__)
    for _ in range(items):
        queue.push("a", Caller("a", "x"), Priority.NORMAL)
        queue.push("b", Caller("b", "x"), Priority.NORMAL)
    turns = Counter(queue.pop() for _ in range(items))
    assert turns["b"] / turns["a"] == pytest.approx(3, rel=0.1)


def test_a_tenant_that_was_idle_gets_no_credit_for_it() -> None:
    """Who comes after others have had a hundred turns shares from now on, and no more."""
    queue: FairQueue[str] = FairQueue()
    for _ in range(200):
        queue.push("early", Caller("early", "x"), Priority.NORMAL)
    for _ in range(100):
        queue.pop()
    for _ in range(50):
        queue.push("late", Caller("late", "x"), Priority.NORMAL)
    assert Counter(queue.pop() for _ in range(40)) == {"early": 20, "late": 20}


def test_a_tenant_that_leaves_and_comes_back_gets_no_extra_turns() -> None:
    """One item at a time, again and again, is one turn in two and not more."""
    queue: FairQueue[str] = FairQueue()
    for _ in range(100):
        queue.push("steady", Caller("steady", "x"), Priority.NORMAL)
    turns = []
    for _ in range(60):
        if "now and then" not in [place.item for place in queue]:
            queue.push("now and then", Caller("now and then", "x"), Priority.NORMAL)
        turns.append(queue.pop())
    assert Counter(turns)["now and then"] <= 31


def test_higher_priorities_first_and_one_turn_in_nine_for_the_rest() -> None:
    """A high item goes ahead of all normal ones; with high ones without end the others still move."""
    queue: FairQueue[str] = FairQueue()
    for _ in range(100):
        for priority in Priority:
            queue.push(priority.name, Caller("", "x"), priority)
    order = [queue.pop() for _ in range(90)]
    assert order[:TURNS_BEFORE_LOWER] == ["HIGH"] * TURNS_BEFORE_LOWER
    assert order[TURNS_BEFORE_LOWER] == "NORMAL"
    counts = Counter(order)
    assert counts["LOW"] >= 8
    assert counts["NORMAL"] >= 8


def test_who_comes_again_goes_first_in_its_source() -> None:
    """An item whose call failed does not wait behind its whole stream once more."""
    queue: FairQueue[int] = FairQueue()
    for number in range(5):
        queue.push(number, Caller("", "x"), Priority.NORMAL)
    first = queue.pop()
    queue.push(first, Caller("", "x"), Priority.NORMAL, again=True)
    assert queue.pop() == first


def test_one_image_beside_twenty_thousand_waits_one_turn() -> None:
    """A source of its own has its turn after at most one of the other's."""
    queue: FairQueue[str] = FairQueue()
    for _ in range(20_000):
        queue.push("bulk", Caller("", "bulk"), Priority.NORMAL)
    queue.pop()
    queue.push("single", Caller("", "single"), Priority.NORMAL)
    assert "single" in [queue.pop(), queue.pop()]


def test_callers_who_leave_before_their_turn_leave_nothing_behind() -> None:
    """Tenants' names are the callers' own: any number of them, come and gone while nobody has a turn, take no room."""
    queue: FairQueue[int] = FairQueue()
    queue.push(-1, Caller("stays", "s"), Priority.NORMAL)
    for number in range(5000):
        assert queue.discard(queue.push(number, Caller(f"t{number}", "s"), Priority.NORMAL))
    assert queue.size_in_memory <= 2500
    assert queue.pop() == -1
    assert len(queue) == 0


def test_tenants_of_one_item_each_are_forgotten() -> None:
    """A name for every item neither fills the memory nor makes turns dearer."""
    queue: FairQueue[int] = FairQueue()
    for number in range(20_000):
        queue.push(number, Caller(f"t{number}", "s"), Priority.NORMAL)
        assert queue.pop() == number
    assert queue.size_in_memory <= 2500


def test_a_tenant_that_had_many_turns_is_remembered_longest() -> None:
    """Strangers do not wash away what a tenant of little weight has had: it gets no credit by coming back."""
    queue: FairQueue[str] = FairQueue(lambda tenant: 0.01 if tenant == "light" else 1.0)
    queue.push("light", Caller("light", "s"), Priority.NORMAL)
    assert queue.pop() == "light"
    for number in range(5000):
        queue.push("stranger", Caller(f"t{number}", "s"), Priority.NORMAL)
        queue.pop()
    queue.push("light", Caller("light", "s"), Priority.NORMAL)
    for _ in range(50):
        queue.push("other", Caller("other", "s"), Priority.NORMAL)
    assert [queue.pop() for _ in range(50)] == ["other"] * 50
