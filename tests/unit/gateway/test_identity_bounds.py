"""What the readers of identity documents make of hostile text: an answer, and soon."""

from __future__ import annotations

import datetime
import itertools
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from ocr_gateway.identity import normalise
from ocr_gateway.identity.field_names import FieldName
from ocr_gateway.identity.fields import make_field, make_period
from ocr_gateway.identity.reading.reader import read_fields
from ocr_gateway.model import IdDocument, Line, Polygon

LENGTH = 50_000
UNITS = (" ", "\n", "A ", "A& ", "1", "1 ", "12/", "0-", "<", "（", "()", "(", "银", "自", "自 ", "至", "—", "- ", "年",
         "2019年", "十", "一十", "20190305-", "JAN", "A-", ". ", "姓名")  # fmt: skip
TODAY = datetime.date(2026, 1, 1)
LABELS = ("姓名", "住址", "经营范围", "名称", "公民身份号码", "某某路", "1234", "6222")
ZONE = ("P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<", "OOOOOOOOO3UTO7408122F1204159ZE184226B<<<<<10")


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raises TimeoutError after so much time of this process's processor."""

    def over(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGVTALRM, over)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def hostile() -> Iterator[str]:
    for unit in UNITS:
        text = (unit * LENGTH)[:LENGTH]
        yield from (text, text + "x", "x" + text, text + "!\n至")


FORMS: tuple[Callable[[str], object], ...] = (
    *(normalise.date, normalise.split_period, normalise.text, normalise.number, normalise.digits, normalise.mrz),
    *(normalise.ethnicity, normalise.document_type, normalise.card_type, normalise.sex),
    lambda raw: [make_field(name, raw, 0.5, None) for name in (FieldName.ID_NUMBER, FieldName.CARD_NUMBER)],
    lambda raw: make_period(raw, 0.5, None),
)


@pytest.mark.parametrize("form", FORMS)
def test_a_value_of_any_length_is_normalised_soon(form: Callable[[str], object]) -> None:
    """Whatever a provider states: 50 KB take some hundredths of a second."""
    for raw in hostile():
        with within(2.0):
            form(raw)


def box(left: float, top: float, width: float, height: float) -> Polygon:
    return ((left, top), (left + width, top), (left + width, top + height), (left, top + height))


def slanted(place: float) -> Polygon:
    return ((place, place), (place + 90, place + 90), (place + 80, place + 100), (place - 10, place + 10))


PAGES = {
    "one above the other": [Line("姓名张三", 0.9, box(10, 10, 200, 20))] * 600,
    "without area": [Line("姓名张三", 0.9, box(10, 10, 0, 0))] * 600,
    "labels and values": [
        Line(text, 0.9, box(10 + (i % 7) * 80, 10 + 6 * (i // 7), 60, 20))
        for i, text in zip(range(600), itertools.cycle(LABELS), strict=False)
    ],
    "zones": [
        Line(text, 0.9, box(10, 10 + 25 * i, 900, 20))
        for i, text in zip(range(600), itertools.cycle(ZONE), strict=False)
    ],
    "slanted": [Line("住址某某路", 0.9, slanted(i)) for i in range(600)],
    "right to left": [Line("مرحبا بالعالم" * 3, 0.9, box(10, 10 + 22 * i, 300, 18)) for i in range(600)],
    "far out": [Line("姓名张三", 0.9, box(-1e9, -1e9, 2e9, 2e9))] * 600,
    "empty": [Line(" " * (i % 2), 0.9, box(10, 10 + i, 100, 20)) for i in range(600)],
    "too many": [Line("姓名张三", 0.9, box(10, 10, 200, 20))] * 10_000,
    "long": [Line(text, 0.9, box(0, 20 * i, 2000, 20)) for i, text in enumerate(hostile())],
}


@pytest.mark.parametrize("document", [None, *IdDocument])
@pytest.mark.parametrize("page", PAGES)
def test_a_page_of_anything_is_looked_through_soon(page: str, document: IdDocument | None) -> None:
    """As many lines as are looked at, on top of each other or all of them labels: a second or two, not minutes."""
    with within(10.0):
        read_fields(PAGES[page], document, TODAY)


def test_what_is_not_looked_at_does_not_hide_a_document() -> None:
    """A card's number beside a line that is none of a document's is found; a page of thousands of lines is no card."""
    card = [
        Line("公民身份号码 11010519491231002X", 0.9, box(10, 10, 600, 30)),
        Line("姓名张三", 0.9, box(10, 50, 90, 30)),
    ]
    rubbish = Line("1" * LENGTH, 0.9, box(0, 500, 2000, 20))
    names = {field.name for field in read_fields([*card, rubbish], IdDocument.IDENTITY_CARD, TODAY)}
    assert {FieldName.ID_NUMBER, FieldName.NAME} <= names
    assert read_fields([*card, *[Line("x", 0.9, box(0, 0, 9, 9))] * 600], None, TODAY) == ()


def test_a_caller_that_has_left_ends_the_look() -> None:
    """The worker asks between the steps."""

    def gone() -> None:
        raise RuntimeError("nobody waits")

    with pytest.raises(RuntimeError, match="nobody waits"):
        read_fields([Line("姓名张三", 0.9, box(10, 50, 90, 30))], None, TODAY, gone)


@pytest.mark.parametrize(
    ("raw", "ends"),
    [
        ("2019-03-05 - 2029-03-05", ("2019-03-05", "2029-03-05")),
        (" 自 2016年5月3日 至 长期", ("2016年5月3日", "长期")),
        ("2010.07.21--2030.07.21", ("2010.07.21", "-2030.07.21")),
        ("05 MAR 2019 ~ 04 MAR 2029", ("05 MAR 2019", "04 MAR 2029")),
        ("长期", ("", "长期")),
        ("  ", ("", "")),
    ],
)
def test_a_period_has_two_ends(raw: str, ends: tuple[str, str]) -> None:
    """Blanks round the sign belong to neither."""
    assert normalise.split_period(raw) == ends
