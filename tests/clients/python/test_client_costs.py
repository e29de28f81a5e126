"""What a page cost, in its record and in the summary of a run."""

from __future__ import annotations

import json

from ocrmux.ocr.v1.document_pb2 import Document, Page
from ocrmux.ocr.v1.recognition_pb2 import PageAnswer, Provenance
from ocrmux_client.records import PageRecord
from ocrmux_client.run_summary import RunSummary


def record_of(**provenance: object) -> PageRecord:
    answer = PageAnswer(page=1, last_page=True, page_count=1, document=Document(pages=[Page(number=1)]))
    answer.provenance.CopyFrom(Provenance(**provenance))  # type: ignore[arg-type]
    return PageRecord.of("a.png", answer)


def test_a_record_says_what_its_page_cost() -> None:
    """With the currency; null where there is no price."""
    paid = json.loads(record_of(billed_units=2.0, cost=0.007, currency="CNY").as_line())
    assert (paid["billed_units"], paid["cost"], paid["currency"]) == (2.0, 0.007, "CNY")
    free = json.loads(record_of(provider="rapidocr").as_line())
    assert (free["billed_units"], free["cost"], free["currency"]) == (0.0, 0.0, None)


def test_a_run_says_what_it_cost() -> None:
    """The sum, by currency where servers have several; nothing where nothing was paid."""
    summary = RunSummary()
    summary.pay(0.0, "")
    assert "cost" not in summary.line(1.0, None)
    for _ in range(3):
        summary.pay(0.1, "CNY")
    assert summary.line(1.0, None).endswith("0 errors, cost 0.3 CNY")
    summary.pay(2.5, "EUR")
    assert summary.line(1.0, None).endswith("cost 0.3 CNY, cost 2.5 EUR")
