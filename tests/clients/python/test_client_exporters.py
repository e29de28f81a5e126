"""Records and the formats they are written in."""

from __future__ import annotations

import csv
import io
import json

import grpc
import pytest

from ocrmux.ocr.v1.document_pb2 import (
    CHECK_DIGIT_INVALID,
    CHECK_DIGIT_VALID,
    Block,
    Cell,
    Document,
    Field,
    Line,
    Page,
    Table,
)
from ocrmux.ocr.v1.recognition_pb2 import CACHE_OUTCOME_STORE, PageAnswer, Provenance, Timings
from ocrmux_client.exporters import OutputFormat, exporter_for, format_for
from ocrmux_client.records import PageRecord
from tests.fakes.stub_servers import item_error, text_page

PROVENANCE = Provenance(
    provider="rapidocr", cache=CACHE_OUTCOME_STORE, attempts=0, timings=Timings(total_ms=3.25, queue_ms=1)
)


def record_of(page: Page, source: str = "scans/a.tif", page_count: int = 2) -> PageRecord:
    answer = PageAnswer(page=page.number, page_count=page_count, document=Document(pages=[page]), provenance=PROVENANCE)
    return PageRecord.of(source, answer)


def failed_record() -> PageRecord:
    status = item_error(grpc.StatusCode.OUT_OF_RANGE, "TOO_MANY_PAGES", "too | many")
    return PageRecord.of("b.pdf", PageAnswer(page=0, last_page=True, error=status))


def text_of(output_format: OutputFormat, *records: PageRecord) -> str:
    exporter = exporter_for(output_format)
    return exporter.head() + "".join(exporter.piece(record) for record in records)


def table_page() -> Page:
    cells = [
        Cell(row=0, column=0, row_span=1, column_span=2, text="Summe\n总计"),
        Cell(row=1, column=0, row_span=1, column_span=1, text="a|b"),
        Cell(row=1, column=1, row_span=1, column_span=1, text="12", confidence=0.5),
    ]
    return Page(number=1, tables=[Table(row_count=2, column_count=2, cells=cells)])


def identity_page() -> Page:
    fields = [
        Field(name="id_number", raw_value="11010519491231002X", check_digit=CHECK_DIGIT_VALID, confidence=0.99),
        Field(name="birth", raw_value="1949年12月31日", normalized_value="1949-12-31", check_digit=CHECK_DIGIT_INVALID),
    ]
    return Page(number=1, fields=fields)


def test_a_jsonl_record_has_every_field_of_the_contract() -> None:
    """One line, whole, with null for what is not known and zeros spelled out."""
    line = text_of(OutputFormat.JSONL, record_of(text_page(1, "汉字\nzwei")))
    assert line.endswith("\n")
    assert line.count("\n") == 1
    record = json.loads(line)
    assert list(record)[:5] == ["source", "page", "page_count", "status", "reason"]
    assert (record["source"], record["page"], record["page_count"]) == ("scans/a.tif", 1, 2)
    assert (record["status"], record["reason"], record["text"]) == ("OK", None, "汉字\nzwei")
    assert (record["confidence"], record["cache"], record["attempts"]) == (0.9, "STORE", 0)
    assert record["timings_ms"] == {"preprocess": 0, "queue": 1, "rate_limit": 0, "provider": 0, "total": 3.25}
    assert record["document"]["pages"][0]["tables"] == []
    cell = json.loads(text_of(OutputFormat.JSONL, record_of(table_page())))["document"]["pages"][0]["tables"][0][
        "cells"
    ][0]
    assert (cell["row"], cell["column"]) == (0, 0)


def test_a_record_has_the_providers_own_answer_where_it_came() -> None:
    """As text, what is no UTF-8 marked; without one the key is not there."""
    answer = PageAnswer(page=1, last_page=True, document=Document(pages=[text_page(1, "x")]))
    assert "raw_response" not in json.loads(PageRecord.of("a", answer).as_line())
    answer.raw_response = '{"词": 1}'.encode() + b"\xff"
    assert json.loads(PageRecord.of("a", answer).as_line())["raw_response"] == '{"词": 1}\ufffd'


def test_a_record_tells_what_was_measured_and_done() -> None:
    """Steps in order with their parameters; measures by name, null where they could not be told or nothing was."""
    answer = PageAnswer(page=1, last_page=True, document=Document(pages=[text_page(1, "x")]))
    bare = json.loads(PageRecord.of("a", answer).as_line())
    assert (bare["steps"], bare["measures"]) == ([], None)
    answer.steps.add(name="deskew", parameters={"deg": "1.5", "by": "lines"})
    answer.steps.add(name="encode")
    answer.measures.skew_deg = 1.51239
    answer.measures.quarter_turns = 0
    for x, y in ((0, 0), (10, 0), (10.123, 20), (0, 20)):
        answer.measures.outline.points.add(x=x, y=y)
    record = json.loads(PageRecord.of("a", answer).as_line())
    assert record["steps"] == [
        {"name": "deskew", "parameters": {"by": "lines", "deg": "1.5"}},
        {"name": "encode", "parameters": {}},
    ]
    measured = record["measures"]
    assert (measured["skew_deg"], measured["quarter_turns"], measured["noise"]) == (1.5124, 0, None)
    assert measured["outline"] == [[0, 0], [10, 0], [10.12, 20], [0, 20]]


def test_an_error_record_tells_code_reason_and_message() -> None:
    """A refusal of a whole file is a record of page 0 without a document."""
    record = json.loads(text_of(OutputFormat.JSONL, failed_record()))
    assert (record["page"], record["status"], record["reason"]) == (0, "OUT_OF_RANGE", "TOO_MANY_PAGES")
    assert (record["message"], record["document"], record["confidence"]) == ("too | many", None, None)


def test_a_file_name_that_is_not_utf8_survives_the_record() -> None:
    """The name comes back as Python knows it."""
    line = text_of(OutputFormat.JSONL, record_of(text_page(1, "x"), source="a\udcff.png"))
    assert json.loads(line.encode("utf-8"))["source"] == "a\udcff.png"


def test_the_last_page_tells_the_count_where_the_server_does_not() -> None:
    """A page marked as the last one gives the count that resuming needs."""
    answer = PageAnswer(page=3, last_page=True, document=Document(pages=[text_page(3, "x")]))
    assert PageRecord.of("a", answer).page_count == 3


def test_text_has_a_header_a_page_and_aligned_tables() -> None:
    """A person sees where each page comes from; wide characters count two columns."""
    text = text_of(OutputFormat.TXT, record_of(text_page(1, "hello")), record_of(table_page()), failed_record())
    assert text.startswith("=== scans/a.tif, page 1 of 2 · rapidocr · cache store · 3 ms · confidence 90.0%\nhello\n\n")
    assert "| Summe 总计 |    |\n| a|b        | 12 |\n" in text
    assert "=== b.pdf · OUT_OF_RANGE TOO_MANY_PAGES · too | many\n" in text


def test_text_tells_fields_and_whether_their_check_digit_holds() -> None:
    """A field's value, its printed form where it differs, and a failing check."""
    text = text_of(OutputFormat.TXT, record_of(identity_page()))
    assert "id_number  11010519491231002X  (check digit holds)\n" in text
    assert "birth      1949-12-31  [1949年12月31日]  (CHECK DIGIT DOES NOT HOLD)\n" in text


def test_text_keeps_the_lines_of_a_field_under_each_other() -> None:
    """A machine-readable zone stands in one column, and its printed form below it where that differs."""
    zone = Field(name="mrz", raw_value="AB0\nCD", normalized_value="ABO\nCD", check_digit=CHECK_DIGIT_VALID)
    text = text_of(OutputFormat.TXT, record_of(Page(number=1, fields=[zone])))
    assert "\nmrz  ABO\n     CD\n     [AB0\n     CD]  (check digit holds)\n" in text


def test_an_empty_page_says_so_in_text() -> None:
    """A page on which nothing was found is told from one that was not read."""
    assert "(nothing found)" in text_of(OutputFormat.TXT, record_of(Page(number=1)))


def test_csv_has_one_row_a_line_of_text() -> None:
    """Quoting holds whatever the text, and corners stand in their columns."""
    text = text_of(OutputFormat.CSV, record_of(text_page(1, 'say "a, b"')), failed_record(), record_of(table_page()))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 1 + 3
    assert (rows[0]["text"], rows[0]["line"], rows[0]["confidence"]) == ('say "a, b"', "1", "0.9000")
    assert (rows[0]["x1"], rows[0]["y1"], rows[0]["x3"], rows[0]["y3"]) == ("90.0", "10.0", "10.0", "30.0")
    assert (rows[3]["text"], rows[3]["x0"]) == ("12", "")


def test_csv_tells_a_cells_place_and_a_fields_name() -> None:
    """Cells by table, row and column from 1; fields with name, printed text and check digit, the value as the text."""
    text = text_of(OutputFormat.CSV, record_of(table_page()), record_of(identity_page()), record_of(text_page(1, "x")))
    cell, _, last, number, birth, line = csv.DictReader(io.StringIO(text))
    assert [cell[name] for name in ("kind", "table", "row", "column", "column_span")] == ["cell", "1", "1", "1", "2"]
    assert [last[name] for name in ("text", "row", "column", "row_span")] == ["12", "2", "2", "1"]
    assert [number[name] for name in ("kind", "name", "check_digit", "row")] == ["field", "id_number", "holds", ""]
    assert (birth["text"], birth["as_printed"]) == ("1949-12-31", "1949年12月31日")
    assert birth["check_digit"] == "does not hold"
    assert (line["kind"], line["name"]) == ("line", "")


def test_text_tells_what_a_page_cost() -> None:
    """The price stands in the header where there is one."""
    record = record_of(text_page(1, "x"))
    record.provenance.cost, record.provenance.currency = 0.0015, "USD"
    assert "· 0.0015 USD" in text_of(OutputFormat.TXT, record).splitlines()[0]


def test_markdown_has_a_heading_a_page_and_real_tables() -> None:
    """Tables become Markdown tables with their own signs escaped, errors become quotations."""
    text = text_of(OutputFormat.MD, record_of(table_page()), failed_record(), record_of(identity_page()))
    assert "## scans/a.tif, page 1 of 2\n\n| Summe<br>总计 |  |\n| --- | --- |\n| a\\|b | 12 |\n\n" in text
    assert "> not read: OUT\\_OF\\_RANGE TOO\\_MANY\\_PAGES: too \\| many\n" in text
    assert "| birth | 1949-12-31 | 1949年12月31日 | **does not hold** |" in text


@pytest.mark.parametrize(
    ("read", "written"),
    [
        ("# no heading", "\\# no heading"),
        ("- no list", "\\- no list"),
        ("1. no list", "1\\. no list"),
        ("-5 degrees", "-5 degrees"),
        ("---", "\\---"),
        ("<b>*x*</b>", "\\<b\\>\\*x\\*\\</b\\>"),
        ("1.5 litres", "1.5 litres"),
    ],
)
def test_what_was_read_is_never_markup(read: str, written: str) -> None:
    """Signs that Markdown would take for its own are escaped, others are left alone."""
    assert f"\n\n{written}\n\n" in text_of(OutputFormat.MD, record_of(text_page(1, read)))


def test_lines_of_a_block_stay_lines_of_a_paragraph() -> None:
    """A block is a paragraph with its line breaks kept."""
    page = Page(number=1, blocks=[Block(lines=[Line(text="one"), Line(text="two")]), Block(lines=[Line(text="three")])])
    assert text_of(OutputFormat.MD, record_of(page)).endswith("\n\none  \ntwo\n\nthree\n\n")


@pytest.mark.parametrize(
    ("name", "output_format"),
    [("a.txt", OutputFormat.TXT), ("a.CSV", OutputFormat.CSV), ("a.md", OutputFormat.MD), ("-", OutputFormat.JSONL)],
)
def test_the_suffix_tells_the_format(name: str, output_format: OutputFormat) -> None:
    """A suffix that says nothing means JSONL."""
    assert format_for(name) is output_format


def test_a_table_that_claims_too_much_is_not_drawn_up() -> None:
    """A hostile row number costs no memory."""
    page = Page(number=1, tables=[Table(cells=[Cell(row=2**31, column=2**31, text="x")])])
    assert "x" not in text_of(OutputFormat.MD, record_of(page)).replace("scans/a.tif", "")
