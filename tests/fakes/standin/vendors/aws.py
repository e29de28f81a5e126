"""AWS Textract: the three operations that answer at once, signed by Signature Version 4."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.fakes.standin.images import check_image, media_type_of
from tests.fakes.standin.json_call import read_base64
from tests.fakes.standin.settings import StandInSettings
from tests.fakes.standin.subjects import PASSPORT
from tests.fakes.standin.texts import confidence_of, text_of
from tests.fakes.standin.vendor import Asked, Denied, Head, Reply, Vendor
from tests.fakes.standin.vendors.aws_sigv4 import verify

CONTENT_TYPE = "application/x-amz-json-1.1"
_PREFIX = "Textract."
_MAX_IMAGE_BYTES = 5_000_000
_IMAGES = ("image/jpeg", "image/png")
_MEMBERS = {
    "DetectDocumentText": {"Document"},
    "AnalyzeDocument": {"Document", "FeatureTypes"},
    "AnalyzeID": {"DocumentPages"},
}
_FEATURE_TYPES = {"TABLES", "FORMS", "QUERIES", "SIGNATURES", "LAYOUT"}
_STATUSES = {
    "InternalServerError": 500, "InternalFailure": 500, "InternalServerException": 500, "ServiceUnavailable": 503,
    "ServiceUnavailableException": 503,
}  # fmt: skip
_ID_FIELDS = (
    "FIRST_NAME", "LAST_NAME", "MIDDLE_NAME", "SUFFIX", "CITY_IN_ADDRESS", "ZIP_CODE_IN_ADDRESS", "STATE_IN_ADDRESS",
    "STATE_NAME", "DOCUMENT_NUMBER", "EXPIRATION_DATE", "DATE_OF_BIRTH", "DATE_OF_ISSUE", "ID_TYPE", "ENDORSEMENTS",
    "VETERAN", "RESTRICTIONS", "CLASS", "ADDRESS", "COUNTY", "PLACE_OF_BIRTH", "MRZ_CODE",
)  # fmt: skip
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
# The places on a page of 1000 x 1000, as shares of it: Textract knows no pixels.
_PAGE = 1000.0


class Aws(Vendor):
    """One address; the operation stands in a header. On identity documents the place of birth tells the image."""

    name = "aws"
    quotas = {"DetectDocumentText": 25, "AnalyzeDocument": 10, "AnalyzeID": 5}
    codes = {
        "throttled": "ThrottlingException",
        "transient": "InternalServerError",
        "quota_spent": "ServiceQuotaExceededException",
        "credentials": "UnrecognizedClientException",
        "not_open": "AccessDeniedException",
        "undecodable": "BadDocumentException",
        "too_large": "DocumentTooLargeException",
    }
    paths = ("/",)

    def action(self, head: Head) -> str:
        return head.headers.get("x-amz-target", "").removeprefix(_PREFIX)

    def admit(self, head: Head, settings: StandInSettings, now: float) -> str:
        return ""  # the signature covers the body

    def read(self, head: Head, body: bytes, settings: StandInSettings, epoch_s: float) -> Asked:
        verify(head, body, {settings.api_key: settings.secret_key}, epoch_s)
        operation = self.action(head)
        if operation not in _MEMBERS or not head.headers["x-amz-target"].startswith(_PREFIX):
            raise Denied("UnknownOperationException")
        if head.headers.get("content-type") != CONTENT_TYPE:
            raise Denied("UnknownOperationException", "Content-Type")
        try:
            said = json.loads(body)
        except ValueError:
            raise Denied("SerializationException") from None
        if not isinstance(said, dict) or set(said) != _MEMBERS[operation]:
            raise Denied("InvalidParameterException", "Request has invalid parameters")
        features = said.get("FeatureTypes", ["TABLES"])
        if not isinstance(features, list) or not features or not set(features) <= _FEATURE_TYPES:
            raise Denied("InvalidParameterException", "Request has invalid parameters")
        pages = said["DocumentPages"] if operation == "AnalyzeID" else [said["Document"]]
        if not isinstance(pages, list) or not 1 <= len(pages) <= 2:
            raise Denied("ValidationException", "Member must have length less than or equal to 2")
        return Asked(operation, tuple(_image(each, whole=settings.whole_images) for each in pages), said)

    def answer(self, asked: Asked, digests: Sequence[str], settings: StandInSettings) -> Reply:
        metadata = {"DocumentMetadata": {"Pages": len(digests)}}
        match asked.action:
            case "AnalyzeID":
                documents = [
                    {"DocumentIndex": number, "IdentityDocumentFields": _id_fields(digest, settings), "Blocks": []}
                    for number, digest in enumerate(digests, 1)
                ]
                said = {"IdentityDocuments": documents, "AnalyzeIDModelVersion": "1.0"}
            case "AnalyzeDocument":
                said = {"Blocks": [*_table(digests[0], settings)], "AnalyzeDocumentModelVersion": "1.0"}
            case _:
                said = {"Blocks": [*_lines(digests[0], settings)], "DetectDocumentTextModelVersion": "1.0"}
        return Reply(metadata | said, content_type=CONTENT_TYPE)

    def error(self, code: str, message: str) -> Reply:
        return Reply({"__type": code, "message": message}, _STATUSES.get(code, 400), content_type=CONTENT_TYPE)


def _image(said: Any, *, whole: bool) -> bytes:
    if not isinstance(said, dict) or set(said) != {"Bytes"}:
        raise Denied("InvalidParameterException", "Request has invalid parameters")
    image = read_base64(said["Bytes"], code="SerializationException")
    if len(image) > _MAX_IMAGE_BYTES:
        raise Denied("DocumentTooLargeException", "The document is too large")
    if media_type_of(image) not in _IMAGES:
        raise Denied("UnsupportedDocumentException", "Request has unsupported document format")
    check_image(image, whole=whole)
    return image


def _lines(digest: str, settings: StandInSettings) -> Iterator[dict[str, Any]]:
    """A page of lines of words; a page without text has itself alone."""
    sure = confidence_of(digest, settings) * 100
    numbers = range(settings.lines)
    page = {"BlockType": "PAGE", "Id": "page", "Geometry": _geometry(0, 0, _PAGE, _PAGE)}
    yield page | _children(f"line-{number}" for number in numbers)
    for number in numbers:
        top, words = 40 + 60.0 * number, text_of(digest, number)
        parts = words.split(" ")
        names = [f"word-{number}-{place}" for place in range(len(parts))]
        line = {"BlockType": "LINE", "Id": f"line-{number}", "Text": words, "Confidence": sure}
        yield line | {"Geometry": _geometry(20, top, 400, 40)} | _children(names)
        for place, (name, word) in enumerate(zip(names, parts, strict=True)):
            geometry = _geometry(20 + 250.0 * place, top, 150, 40)
            yield _word(name, word, sure) | {"Geometry": geometry}


def _table(digest: str, settings: StandInSettings) -> Iterator[dict[str, Any]]:
    """A header over two columns, merged of two cells, and two cells under it."""
    sure = confidence_of(digest, settings) * 100
    cells = {(1, 1): digest[:16], (1, 2): "", (2, 1): "left side", (2, 2): "right"}
    names = {place: "cell-{}-{}".format(*place) for place in cells}
    page = {"BlockType": "PAGE", "Id": "page", "Geometry": _geometry(0, 0, _PAGE, _PAGE)}
    yield page | _children(["table"])
    table = {"BlockType": "TABLE", "Id": "table", "Confidence": sure, "Geometry": _geometry(20, 60, 400, 120)}
    merges = {"Type": "MERGED_CELL", "Ids": ["merged"]}
    yield table | {
        "EntityTypes": ["STRUCTURED_TABLE"],
        "Relationships": [{"Type": "CHILD", "Ids": [*names.values()]}, merges],
    }
    for (row, column), text in cells.items():
        words = [f"{names[row, column]}-{number}" for number in range(len(text.split()))]
        kinds = {"EntityTypes": ["COLUMN_HEADER"]} if row == 1 else {}
        cell = _cell(names[row, column], (row, column), (1, 1), sure) | kinds
        yield cell | _children(words)
        for name, word in zip(words, text.split(), strict=True):
            yield _word(name, word, sure) | {"Geometry": cell["Geometry"]}
    merged = _cell("merged", (1, 1), (1, 2), sure) | {"BlockType": "MERGED_CELL", "EntityTypes": ["COLUMN_HEADER"]}
    yield merged | _children([names[1, 1], names[1, 2]])


def _cell(name: str, place: tuple[int, int], span: tuple[int, int], sure: float) -> dict[str, Any]:
    row, column = place
    geometry = _geometry(200.0 * column - 180, 60.0 * row, 200.0 * span[1], 60.0 * span[0])
    return {
        "BlockType": "CELL", "Id": name, "Confidence": sure, "RowIndex": row, "ColumnIndex": column,
        "RowSpan": span[0], "ColumnSpan": span[1], "Geometry": geometry,
    }  # fmt: skip


def _word(name: str, word: str, sure: float) -> dict[str, Any]:
    return {"BlockType": "WORD", "Id": name, "Text": word, "TextType": "PRINTED", "Confidence": sure}


def _children(names: Any) -> dict[str, Any]:
    ids = list(names)
    return {"Relationships": [{"Type": "CHILD", "Ids": ids}]} if ids else {}


def _geometry(left: float, top: float, width: float, height: float) -> dict[str, Any]:
    left, top, width, height = (each / _PAGE for each in (left, top, width, height))
    right, bottom = left + width, top + height
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    box = {"Left": left, "Top": top, "Width": width, "Height": height}
    return {"BoundingBox": box, "Polygon": [{"X": x, "Y": y} for x, y in corners], "RotationAngle": 0.0}


def _id_fields(digest: str, settings: StandInSettings) -> list[dict[str, Any]]:
    """All the fields that there are; those that the document does not state have an empty text."""
    words: Mapping[str, str] = {
        "FIRST_NAME": PASSPORT["given_names"],
        "LAST_NAME": PASSPORT["surname"],
        "DOCUMENT_NUMBER": PASSPORT["document_number"],
        "DATE_OF_BIRTH": PASSPORT["birth_date"],
        "EXPIRATION_DATE": PASSPORT["valid_until"],
        "ID_TYPE": "PASSPORT",
        "MRZ_CODE": PASSPORT["mrz"],
        "PLACE_OF_BIRTH": digest[:16],
    }
    return [_id_field(name, words.get(name, ""), confidence_of(digest, settings) * 100) for name in _ID_FIELDS]


def _id_field(name: str, words: str, sure: float) -> dict[str, Any]:
    value: dict[str, Any] = {"Text": words, "Confidence": sure}
    if "DATE" in name and words:
        year, month, day = words.split("-")
        value["Text"] = f"{day} {_MONTHS[int(month) - 1]} {year}"
        value["NormalizedValue"] = {"Value": f"{words}T00:00:00", "ValueType": "DATE"}
    return {"Type": {"Text": name}, "ValueDetection": value}
