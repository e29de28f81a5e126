"""How far texts, tables and fields differ, and what a comparison sums up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from time import perf_counter

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from ocrmux.ocr.v1.document_pb2 import CHECK_DIGIT_INVALID, CHECK_DIGIT_VALID, Cell, Document, Field, Page, Table
from ocrmux.ocr.v1.recognition_pb2 import CacheOutcome, PageAnswer, Provenance, Timings
from ocrmux_client.comparison.compared_page import compared, pages_of
from ocrmux_client.comparison.content_agreement import agreement
from ocrmux_client.comparison.figures import money, share, summary_columns
from ocrmux_client.comparison.ground_truth import GroundTruth
from ocrmux_client.comparison.shared_walk import SharedWalk
from ocrmux_client.comparison.terminal import comparison_report, difference_lines
from ocrmux_client.comparison.text_difference import (
    MAX_WORDS,
    Change,
    edit_distance,
    error_count,
    folded,
    similarity,
    word_difference,
)
from ocrmux_client.comparison.totals import Comparison, percentile
from ocrmux_client.comparison.word_marks import marked
from ocrmux_client.errors import UsageProblem
from ocrmux_client.items import Feature
from ocrmux_client.records import PageRecord
from tests.fakes.stub_servers import item_error, text_page

few_letters = st.text("ab c", max_size=70)
few_words = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=70)


def record(
    text: str,
    *,
    source: str = "a.png",
    number: int = 1,
    outcome: CacheOutcome.ValueType = CacheOutcome.CACHE_OUTCOME_MISS,
    ms: float = 10.0,
    cost: float = 0.0,
    page: Page | None = None,
) -> PageRecord:
    read = page if page is not None else text_page(number, text)
    provenance = Provenance(
        provider="x", cache=outcome, timings=Timings(provider_ms=ms), cost=cost, currency="CNY" if cost else ""
    )
    answer = PageAnswer(page=number, page_count=1, document=Document(pages=[read]), provenance=provenance)
    return PageRecord.of(source, answer)


def failed(source: str = "a.png", number: int = 0) -> PageRecord:
    status = item_error(grpc.StatusCode.UNAVAILABLE, "PROVIDER_UNAVAILABLE")
    return PageRecord.of(source, PageAnswer(page=number, last_page=True, error=status))


def comparison_of(*pages: Mapping[str, PageRecord], feature: Feature = Feature.TEXT, details: int = 20) -> Comparison:
    comparison = Comparison(feature, list(pages[0]), details)
    for page in pages:
        comparison.add(compared(feature, page, None))
    return comparison


def shown(comparison: Comparison, width: int = 100) -> str:
    console = Console(width=width, no_color=True, force_terminal=False)
    with console.capture() as captured:
        console.print(comparison_report(comparison))
    return captured.get()


@given(few_letters, few_letters)
def test_the_distance_of_texts_is_levenshteins(first: str, second: str) -> None:
    """The bits of an integer count what the textbook's table counts."""
    row = list(range(len(second) + 1))
    for number, ours in enumerate(first, start=1):
        row, before = [number], row
        for place, theirs in enumerate(second):
            row.append(min(before[place] + (ours != theirs), before[place + 1] + 1, row[-1] + 1))
    assert edit_distance(first, second) == row[-1]


@given(few_words, few_words)
def test_word_differences_keep_as_many_words_as_can_be_kept(first: list[str], second: list[str]) -> None:
    """The runs make up both texts, and the words that stay are a longest common subsequence."""
    runs = word_difference(first, second)
    assert [word for run in runs if run.change is not Change.ADDED for word in run.words] == first
    assert [word for run in runs if run.change is not Change.REMOVED for word in run.words] == second
    assert all(first[run.first[0] : run.first[1]] == list(run.words) for run in runs if run.change is not Change.ADDED)
    assert all(
        second[run.second[0] : run.second[1]] == list(run.words) for run in runs if run.change is not Change.REMOVED
    )
    lengths = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i, ours in enumerate(first):
        for j, theirs in enumerate(second):
            best = max(lengths[i][j + 1], lengths[i + 1][j])
            lengths[i + 1][j + 1] = lengths[i][j] + 1 if ours == theirs else best
    assert sum(len(run.words) for run in runs if run.change is Change.SAME) == lengths[-1][-1]


def test_white_space_is_folded_where_engines_differ_in_it() -> None:
    """Runs of it are one blank, and there is none beside a Chinese character; between Latin words it counts."""
    assert folded(" 客户 ： 江城 \n No  12\t号") == "客户：江城No 12号"
    assert similarity("East City\nLibrary", "East City Library") == 1.0
    assert similarity("EastCity", "East City") == pytest.approx(8 / 9)
    assert (similarity("", "\n"), similarity("", "x")) == (1.0, 0.0)


def test_errors_are_counted_against_the_truth() -> None:
    """A share of the truth's length, above 1 where much is read that is not there, none for an empty truth."""
    assert error_count("abcd", "abxd").rate == 0.25
    assert error_count("ab", "abcdef").rate == 2.0
    assert error_count("", "abc").rate is None
    assert (error_count("ab", "ax") + error_count("abcdef", "abcdef")).rate == 0.125


def test_hostile_texts_take_bounded_time() -> None:
    """Two long texts that share nothing but their letters are compared in seconds, by word and by letter."""
    long, other = "ab" * 100_000, "ba b" * 50_000
    began_s = perf_counter()
    assert 0 < similarity(long, other) < 1
    text = marked("a b " * MAX_WORDS, "b a c " * MAX_WORDS)
    assert perf_counter() - began_s < 20
    assert len(text.words) >= MAX_WORDS
    assert text.rest.startswith(" a b")
    with pytest.raises(ValueError, match="more than 4000 words"):
        word_difference(["a"] * (MAX_WORDS + 1), ["a"])


def test_tables_agree_by_their_cells() -> None:
    """A cell in the same place counts by its likeness, one that only one has counts nothing, empty ones not at all."""

    def page(*cells: tuple[int, int, str]) -> Page:
        made = [Cell(row=row, column=column, row_span=1, column_span=1, text=text) for row, column, text in cells]
        return Page(number=1, tables=[Table(row_count=3, column_count=3, cells=made)])

    ours, theirs = (
        page((0, 0, "Summe"), (0, 1, "12.50"), (1, 0, "")),
        page((0, 0, "Summe"), (0, 1, "12.5O"), (2, 2, "x")),
    )
    assert agreement(Feature.TABLE, ours, theirs) == pytest.approx((1 + 0.8 + 0) / 3)
    assert agreement(Feature.TABLE, page(), page((0, 0, " "))) == 1.0
    assert agreement(Feature.TABLE, ours, page()) == 0.0


def test_identity_documents_agree_field_by_field() -> None:
    """The normalised value counts, not how it is printed; the terminal shows each value with its check digit."""
    ours = Page(
        number=1,
        fields=[
            Field(name="birth", raw_value="1949年12月31日", normalized_value="1949-12-31"),
            Field(name="id_number", raw_value="11010519491231002X", check_digit=CHECK_DIGIT_VALID),
        ],
    )
    theirs = Page(
        number=1,
        fields=[
            Field(name="birth", raw_value="1949.12.31", normalized_value="1949-12-31"),
            Field(name="id_number", raw_value="11010519491231002K", check_digit=CHECK_DIGIT_INVALID),
            Field(name="name", raw_value=""),
        ],
    )
    assert agreement(Feature.ID_DOCUMENT, ours, theirs) == 0.5
    records = {"one": record("", page=ours), "two": record("", page=theirs)}
    told = shown(comparison_of(records, feature=Feature.ID_DOCUMENT))
    row = next(line for line in told.splitlines() if line.startswith("  id_number"))
    assert "11010519491231002X ✓" in row
    assert "11010519491231002K ✗ check digit" in row
    assert "50.0 %" in told


def test_who_differs_most_is_named() -> None:
    """Of three providers the one that agrees least with the others; nobody where all agree alike."""
    page = compared(Feature.TEXT, {"a": record("same text"), "b": record("same text"), "c": record("other")}, None)
    assert (page.outlier, page.worst_pair) == ("c", ("a", "c"))
    assert page.agreement_of("a") == pytest.approx((1 + page.agreements["a", "c"]) / 2)
    assert compared(Feature.TEXT, {"a": record("x"), "b": record("x"), "c": record("x")}, None).outlier is None
    assert compared(Feature.TEXT, {"a": record("xy"), "b": record("x"), "c": record("y")}, None).outlier is None


def test_a_source_that_one_provider_refuses_stands_against_every_page_of_the_others() -> None:
    """Its error is the error of each page; where all refuse it, there is one page without a number."""
    pages = pages_of({"a": [record("1"), record("2", number=2)], "b": [failed()]})
    assert [(page["a"].page_number, page["b"].ok) for page in pages] == [(1, False), (2, False)]
    assert [set(page) for page in pages_of({"a": [failed()], "b": [failed()]})] == [{"a", "b"}]
    partly = compared(Feature.TEXT, pages[0], None)
    assert (partly.failed, partly.agreements, partly.lowest) == (("b",), {}, None)


def test_totals_leave_out_what_tells_nothing() -> None:
    """Pages from the cache have no time, failed ones neither; costs are sums by currency; confidence is a mean."""
    stored = CacheOutcome.CACHE_OUTCOME_STORE
    comparison = comparison_of(
        {"a": record("x", ms=100, cost=0.25), "b": record("x", outcome=stored, ms=0)},
        {"a": record("x", ms=300, cost=0.5), "b": failed()},
        {"a": record("x", ms=200, cost=0.25), "b": record("y", ms=40)},
    )
    columns = summary_columns(comparison)
    assert columns["read"] == ["3", "2"]
    assert columns["failed"] == ["0", "1"]
    assert columns["p50 ms"] == ["200", "40"]
    assert columns["p95 ms"] == ["300", "40"]
    assert columns["cached"] == ["0", "1"]
    assert columns["cost"] == ["1 CNY", "–"]
    assert columns["agreement"] == ["50.0 %", "50.0 %"]
    assert "units" not in columns
    assert "errors" not in columns
    assert comparison.as_json()["providers"]["a"]["costs"] == {"CNY": 1.0}


def test_the_pages_that_differ_most_are_kept_and_no_more() -> None:
    """Those that somebody failed to read first, then by their agreement; the others are in the totals alone."""
    texts = ["abcdefghij", "abcdefghiX", "abcdeXXXXX", "XXXXXXXXXX"]
    pages = [{"a": record("abcdefghij", source=text), "b": record(text, source=text)} for text in texts]
    comparison = comparison_of(*pages, {"a": record("x", source="bad"), "b": failed("bad")}, details=3)
    assert [page.source for page in comparison.worst] == ["bad", "XXXXXXXXXX", "abcdeXXXXX"]
    assert comparison.pages == 5
    assert "and 2 more that differ less" in shown(comparison)


@pytest.mark.parametrize(
    ("value", "told"),
    [(None, "–"), (1.0, "100.0 %"), (0.99999, "99.9 %"), (0.00001, "< 0.1 %"), (0.0, "0.0 %"), (0.8344, "83.4 %")],
)
def test_shares_are_not_rounded_to_all_or_nothing(value: float | None, told: str) -> None:
    """100 % is all, 0 % is nothing."""
    assert share(value) == told


def test_percentiles_are_values_that_were_seen() -> None:
    """Nearest rank; money has its currency."""
    assert percentile(range(1, 101), 0.95) == 95
    assert percentile([5.0], 0.5) == 5.0
    assert percentile([], 0.5) is None
    assert money({"USD": 0.0015, "CNY": 2.0}) == "2 CNY + 0.0015 USD"


def test_differences_are_shown_by_line_and_in_words() -> None:
    """As git's word differences: only lines that differ, what is missing and what is there instead."""
    told = difference_lines("one two\nsame line\nthree four", "one 2\nsame line\nthree four five").plain
    assert told.splitlines() == ["one [-two-] {+2+}", "three four {+five+}"]
    assert difference_lines("a b", "a").plain == "a [-b-]"


def test_what_was_read_cannot_command_the_terminal() -> None:
    """Control characters are shown as such, and square brackets are no markup."""
    told = shown(comparison_of({"a": record("one [bold]x[/bold] \x1b[2J"), "b": record("one [red]y \x1b]0;pwned\x07")}))
    assert "\x1b" not in told
    assert "[red]y" in told


def test_the_truth_is_found_beside_the_image_or_in_its_folder(tmp_path: Path) -> None:
    """By several usual names; pages are parted by form feeds; a folder of truths has the layout of the images."""
    images, truths = tmp_path / "images", tmp_path / "truths"
    (images / "deep").mkdir(parents=True)
    (truths / "deep").mkdir(parents=True)
    (images / "a.txt").write_text("beside")
    (images / "b.gt.txt").write_text("one\ftwo\f")
    (images / "c.png.txt").write_bytes(b"\xff\xfe")
    (truths / "deep" / "d.txt").write_text("deep")
    (truths / "e.txt").write_text("flat")
    beside = GroundTruth(None, images)
    assert beside.pages(images / "a.png") == ["beside"]
    assert beside.pages(images / "b.pdf") == ["one", "two"]
    assert beside.pages(images / "c.png") == []
    below = GroundTruth(truths, images)
    assert below.pages(images / "deep" / "d.png") == ["deep"]
    assert below.pages(images / "deep" / "e.png") == ["flat"]
    assert below.pages(images / "a.png") == []
    with pytest.raises(UsageProblem, match="is no folder"):
        GroundTruth(tmp_path / "gone", images)


async def _paths(count: int) -> AsyncGenerator[Path, None]:
    for number in range(count):
        yield Path(f"{number}.png")


async def test_no_stream_runs_far_ahead_of_the_others() -> None:
    """The fast stream waits when it is as many sources ahead as are allowed; both get all of them in order."""
    walk = SharedWalk(_paths(20), 2, lead=4, in_turn=False)
    ahead: list[int] = []
    slow_may_go = asyncio.Event()

    async def fast() -> list[int]:
        got = []
        async for number, _ in walk.of(0):
            got.append(number)
            ahead.append(number)
            if len(ahead) == 4:
                slow_may_go.set()
            await walk.answered(0)
        return got

    async def slow() -> list[int]:
        await slow_may_go.wait()
        assert len(ahead) == 4
        got = []
        async for number, path in walk.of(1):
            assert path == Path(f"{number}.png")
            assert len(ahead) <= number + 4
            got.append(number)
            await walk.answered(1)
        return got

    async with asyncio.timeout(10):
        assert [*await asyncio.gather(fast(), slow())] == [list(range(20))] * 2


async def test_in_turn_one_source_is_with_one_stream_at_a_time() -> None:
    """Each source goes round all streams before the next one starts, and all of them end."""
    walk = SharedWalk(_paths(5), 3, lead=1, in_turn=True)
    order: list[tuple[int, int]] = []

    async def read(stream: int) -> None:
        async for number, _ in walk.of(stream):
            order.append((number, stream))
            await walk.answered(stream)

    async with asyncio.timeout(10):
        await asyncio.gather(*(read(stream) for stream in (2, 1, 0)))
    assert order == [(number, stream) for number in range(5) for stream in range(3)]
