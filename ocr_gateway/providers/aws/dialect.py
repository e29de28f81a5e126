"""Textract's three synchronous operations: DetectDocumentText, AnalyzeDocument with tables, AnalyzeID."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ocr_gateway.errors import FieldInvalid, ImageTooLargeBytes
from ocr_gateway.model import (
    BatchLimits,
    Feature,
    FeatureSupport,
    IdDocument,
    ImageLimits,
    Page,
    ProviderCall,
    ProviderDescription,
    ProviderKind,
    ProviderResult,
)
from ocr_gateway.providers.aws.errors import ERRORS, refusal_of
from ocr_gateway.providers.aws.id_fields import fields_of
from ocr_gateway.providers.aws.pages import table_page, text_page
from ocr_gateway.providers.aws.settings import AwsSettings
from ocr_gateway.providers.http import HttpAnswer
from ocr_gateway.providers.remote.choices import chosen_options, language_codes
from ocr_gateway.providers.remote.dialect import DOCUMENT_FIELD, Dialect, Request
from ocr_gateway.providers.remote.json_body import image_mark, json_with_images
from ocr_gateway.providers.remote.meanings import Refusal
from ocr_gateway.providers.remote.values import array, index, member

if TYPE_CHECKING:
    from ocr_gateway.providers.aws.signing import Signer

# Of the service model, shape Document; read as 10^6. The newer quota of 10 MB is not confirmed for inline bytes.
MAX_IMAGE_BYTES = 5_000_000
_LIMITS = ImageLimits(
    max_bytes=MAX_IMAGE_BYTES, max_side_px=10_000, media_types=("image/jpeg", "image/png")
)  # sides: docs.aws.amazon.com/textract/latest/dg/limits-document.html
# US driving licences and state cards, and US passports.
_DOCUMENTS = frozenset({IdDocument.IDENTITY_CARD, IdDocument.PASSPORT})
_LANGUAGES = ("en", "es", "de", "fr", "it", "pt")
_OPERATIONS: Mapping[Feature, str] = {
    Feature.TEXT: "DetectDocumentText",
    Feature.TABLE: "AnalyzeDocument",
    Feature.ID_DOCUMENT: "AnalyzeID",
}


class AwsDialect(Dialect):
    """One account in one region. ``signer`` is None where there are no keys."""

    errors = ERRORS
    signs_body = True

    def __init__(self, name: str, settings: AwsSettings, signer: Signer | None) -> None:
        features = settings.features
        self._url = f"{settings.endpoint}/"
        self._signer = signer
        identity = features.id.support(_LIMITS, documents=_DOCUMENTS)
        pages = features.id.pages_per_call
        supports: dict[Feature, FeatureSupport] = {
            Feature.TEXT: features.text.support(_LIMITS, mosaic=True),
            Feature.TABLE: features.table.support(_LIMITS),
            Feature.ID_DOCUMENT: replace(identity, batch=BatchLimits(pages, pages * MAX_IMAGE_BYTES)),
        }
        self._description = ProviderDescription(name, "AWS Textract", ProviderKind.CLOUD, supports, _LANGUAGES)

    @property
    def model(self) -> str:
        """The API's version; which model reads, the service decides."""
        return "2018-06-27"

    def check(self, call: ProviderCall) -> None:
        """Raises FieldInvalid for any option, since there are none; for a language that is not read, and for a document
        other than US cards and passports."""
        chosen_options(call.options, {}, f"AWS's {self.action(call)}")
        language_codes(call.languages, {each: each for each in _LANGUAGES}, "AWS Textract")
        if call.feature is Feature.ID_DOCUMENT and call.document is not None and call.document not in _DOCUMENTS:
            known = ", ".join(sorted(each.value for each in _DOCUMENTS))
            raise FieldInvalid(DOCUMENT_FIELD, f"AWS Textract does not read {call.document.value}; it reads {known}")

    def action(self, call: ProviderCall) -> str:
        """The operation."""
        return _OPERATIONS[call.feature]

    def body(self, calls: Sequence[ProviderCall]) -> bytes:
        """JSON with the images in base64. Raises ImageTooLargeBytes for one over the limit."""
        for call in calls:
            if len(call.image) > MAX_IMAGE_BYTES:
                raise ImageTooLargeBytes(value=len(call.image), limit=MAX_IMAGE_BYTES)
        pages = [{"Bytes": image_mark()} for _ in calls]
        said: dict[str, Any]
        match calls[0].feature:
            case Feature.TEXT:
                said = {"Document": pages[0]}
            case Feature.TABLE:
                said = {"Document": pages[0], "FeatureTypes": ["TABLES"]}
            case Feature.ID_DOCUMENT:
                said = {"DocumentPages": pages}
        return json_with_images(said, *(call.image for call in calls))

    def request(self, calls: Sequence[ProviderCall], sha256: str, access: str, now: float) -> Request:  # noqa: ARG002
        """A POST, signed by Signature Version 4."""
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"Textract.{self.action(calls[0])}",
        }
        if self._signer is not None:
            headers = self._signer.signed(self._url, headers, sha256, now)
        return Request("POST", self._url, headers)

    def refusal(self, answer: HttpAnswer, said: Mapping[str, Any] | None) -> Refusal | None:
        """The error that an answer tells."""
        return refusal_of(answer, said)

    def results(self, said: dict[str, Any], calls: Sequence[ProviderCall]) -> Sequence[ProviderResult | Refusal]:
        """A page for each image, 1 unit each."""
        call = calls[0]
        match call.feature:
            case Feature.TEXT:
                return [ProviderResult(text_page(said, call.width, call.height), 1.0)]
            case Feature.TABLE:
                return [ProviderResult(table_page(said, call.width, call.height), 1.0)]
            case Feature.ID_DOCUMENT:
                return _identities(said, calls)


def _identities(said: dict[str, Any], calls: Sequence[ProviderCall]) -> list[ProviderResult]:
    """A page for each image, by ``DocumentIndex``; empty ones when no document was found.

    Raises ValueError when there are not as many documents as images: then two images have gone into one document, whose
    fields are nobody's to tell apart.
    """
    documents = array(member(said, "IdentityDocuments"), "IdentityDocuments")
    if not documents:
        return [ProviderResult(Page(call.width, call.height), 1.0) for call in calls]
    if len(documents) != len(calls):
        raise ValueError(f"{len(documents)} documents for {len(calls)} images")
    places = [index(member(each, "DocumentIndex"), "DocumentIndex") for each in documents]
    if sorted(places) != list(range(1, len(calls) + 1)):
        raise ValueError("its documents are not counted from 1")
    found = dict(zip(places, documents, strict=True))
    alone = len(calls) == 1
    return [
        ProviderResult(
            Page(call.width, call.height, fields=fields_of(found[place])),
            1.0,
            b"" if alone or not call.include_raw_response else json.dumps(found[place]).encode(),
        )
        for place, call in enumerate(calls, 1)
    ]
