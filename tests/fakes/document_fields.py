"""The fields that a document states, apart from the one that says which document it is."""

from __future__ import annotations

from ocr_gateway.model import Field, IdDocument, Page


def fields_of_document(page: Page) -> tuple[Field, ...]:
    """The page's fields after the first one, which names the document; none of a page without fields."""
    if not page.fields:
        return ()
    kind, *rest = page.fields
    assert kind.name == "document_type"
    assert kind.normalized_value in {document.value for document in IdDocument}
    return tuple(rest)
