"""Azure: Document Intelligence, which is submitted to and polled, and Image Analysis."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from tests.fakes.standin.images import check_image
from tests.fakes.standin.server import StandIn, reset
from tests.fakes.standin.settings import StandInSettings
from tests.fakes.standin.texts import confidence_of, text_of
from tests.fakes.standin.vendor import Asked, Denied, Handler, Head, Reply, Vendor

_KEY = "ocp-apim-subscription-key"
_ANALYZE = "/documentintelligence/documentModels/{model}:analyze"
_RESULTS = "/documentintelligence/documentModels/{model}/analyzeResults/{operation}"
_OCTETS = "application/octet-stream"
_IMAGES = ("image/jpeg", "image/png", "image/bmp", "image/tiff", "image/heif")
_STATUSES = {
    "429": 429, "401": 401, "Forbidden": 403, "InternalServerError": 500, "ServiceUnavailable": 503, "NotFound": 404,
    "InvalidContentLength": 413, "UnsupportedMediaType": 415,
}  # fmt: skip
# Codes that stand inside InvalidRequest or InvalidArgument, as documented.
_INNER = {
    "InvalidContent", "InvalidContentDimensions", "InvalidContentLength", "InvalidParameter", "InvalidImageSize",
    "InvalidImageFormat", "NotSupportedLanguage", "NotSupportedFeature", "InvalidParameterLength", "ParameterMissing",
}  # fmt: skip
_CODES = {
    "throttled": "429",
    "transient": "ServiceUnavailable",
    "quota_spent": "OutOfCallVolumeQuota",
    "credentials": "401",
    "not_open": "ModelNotFound",
    "undecodable": "InvalidContent",
    "too_large": "InvalidContentLength",
    "option": "InvalidParameter",
}


def _error(code: str, message: str) -> Reply:
    outer: dict[str, Any] = {"code": code, "message": message}
    if code in _INNER:
        outer = {"code": "InvalidRequest", "message": "Invalid request.", "innererror": outer}
    numeric = int(code) if code.isdigit() and 400 <= int(code) < 600 else 0
    headers = {"Retry-After": "1"} if code == "429" else {}
    return Reply({"error": outer}, numeric or _STATUSES.get(code, 400), headers)


class Azure(Vendor):
    """Document Intelligence 4.0. Places are told in a page of an extent of its own."""

    name = "azure"
    quotas = {"prebuilt-read": 15, "prebuilt-layout": 15, "prebuilt-idDocument": 15}
    codes = _CODES
    paths = (_ANALYZE,)

    def __init__(self) -> None:
        self._operations: dict[str, dict[str, Any]] = {}
        self._polls: Counter[str] = Counter()

    def action(self, head: Head) -> str:
        return head.path.rpartition("/")[2].partition(":")[0]

    def admit(self, head: Head, settings: StandInSettings, now: float) -> str:
        return "" if head.headers.get(_KEY) == settings.api_key else "credentials"

    def read(self, head: Head, body: bytes, settings: StandInSettings, epoch_s: float) -> Asked:
        model = self.action(head)
        if model not in self.quotas:
            raise Denied("not_open", "The requested model was not found.")
        if head.query.get("api-version") != "2024-11-30":
            raise Denied("option", "api-version")
        if unknown := set(head.query) - {"api-version", "pages", "locale", "features", "stringIndexType"}:
            raise Denied("option", f"The parameter {sorted(unknown)[0]} is invalid")
        if head.headers.get("content-type") != _OCTETS:
            raise Denied("UnsupportedMediaType", "Content-Type")
        check_image(body, whole=settings.whole_images, media_types=_IMAGES)
        return Asked(model, (body,), {"host": head.headers["host"]})

    def answer(self, asked: Asked, digests: Sequence[str], settings: StandInSettings) -> Reply:
        operation = str(uuid.uuid4())
        self._operations[operation] = _result(asked.action, digests[0], settings)
        path = _RESULTS.format(model=asked.action, operation=operation)
        location = f"http://{asked.options['host']}{path}?api-version=2024-11-30"
        return Reply({}, 202, {"Operation-Location": location, "Retry-After": "0"})

    def polled(self, reply: Reply) -> Any:
        operation = reply.headers["Operation-Location"].rpartition("/")[2].partition("?")[0]
        return {"status": "succeeded", "analyzeResult": self.operation(operation)}

    def operation(self, name: str) -> dict[str, Any]:
        """What an operation has found."""
        return self._operations[name]

    def error(self, code: str, message: str) -> Reply:
        return _error(code, message)

    def routes(self, stand_in: StandIn) -> Sequence[tuple[str, str, Handler]]:
        async def poll(request: web.Request) -> web.StreamResponse:
            return self._poll(request, stand_in)

        return (("GET", _RESULTS, poll),)

    def _poll(self, request: web.Request, stand_in: StandIn) -> web.StreamResponse:
        """The first poll finds the operation running; the second one the result, which is kept."""
        if stand_in.settings.down:
            return reset(request)
        if request.headers.get(_KEY) != stand_in.settings.api_key:
            return web.json_response(_error("401", "Access denied").said, status=401)
        operation = request.match_info["operation"]
        if operation not in self._operations:
            return web.json_response(_error("NotFound", "Resource not found").said, status=404)
        self._polls[operation] += 1
        if self._polls[operation] == 1:
            return web.json_response({"status": "running"}, headers={"Retry-After": "0"})
        return web.json_response({"status": "succeeded", "analyzeResult": self._operations[operation]})


class AzureVision(Vendor):
    """Image Analysis 4.0, its feature ``read``."""

    name = "azure_vision"
    quotas = {"read": 20}
    codes = {**_CODES, "undecodable": "InvalidImageFormat", "too_large": "InvalidImageSize"}
    paths = ("/computervision/imageanalysis:analyze",)

    def action(self, head: Head) -> str:
        return "read"

    def admit(self, head: Head, settings: StandInSettings, now: float) -> str:
        return "" if head.headers.get(_KEY) == settings.api_key else "credentials"

    def read(self, head: Head, body: bytes, settings: StandInSettings, epoch_s: float) -> Asked:
        if (head.query.get("api-version"), head.query.get("features")) != ("2023-10-01", "read"):
            raise Denied("option", "api-version and features")
        if head.headers.get("content-type") != _OCTETS:
            raise Denied("UnsupportedMediaType", "Content-Type")
        if len(body) > 20_971_520:
            raise Denied("too_large", "20 MB are allowed")
        check_image(body, whole=settings.whole_images)
        return Asked("read", (body,))

    def answer(self, asked: Asked, digests: Sequence[str], settings: StandInSettings) -> Reply:
        sure = confidence_of(digests[0], settings)
        lines = []
        for number in range(settings.lines):
            words = text_of(digests[0], number)
            lines.append(
                {
                    "text": words,
                    "boundingPolygon": _points(40, 60 + 88 * number, 640, 56),
                    "words": [
                        {"text": word, "boundingPolygon": _points(*box), "confidence": sure}
                        for word, box in _words(words, number)
                    ],
                }
            )
        return Reply(
            {
                "modelVersion": "2023-10-01",
                "metadata": {"width": 1280, "height": 190},
                "readResult": {"blocks": [{"lines": lines}] if lines else []},
            }
        )

    def error(self, code: str, message: str) -> Reply:
        return _error(code, message)


def _result(model: str, digest: str, settings: StandInSettings) -> dict[str, Any]:
    page: dict[str, Any] = {
        "pageNumber": 1, "angle": 0.1, "width": 1280, "height": 190, "unit": "pixel", "spans": [], "words": [],
        "lines": [],
    }  # fmt: skip
    result: dict[str, Any] = {
        "apiVersion": "2024-11-30", "modelId": model, "stringIndexType": "textElements", "content": "", "pages": [page],
    }  # fmt: skip
    if not settings.lines:
        return result
    sure, offset, texts = confidence_of(digest, settings), 0, []
    for number in range(settings.lines):
        line = text_of(digest, number)
        texts.append(line)
        page["lines"].append(
            {
                "content": line,
                "polygon": _numbers(40, 60 + 88 * number, 640, 56),
                "spans": [{"offset": offset, "length": len(line)}],
            }
        )
        for word, box in _words(line, number):
            at = offset + line.index(word)
            span = {"offset": at, "length": len(word)}
            page["words"].append({"content": word, "polygon": _numbers(*box), "confidence": sure, "span": span})
        offset += len(line) + 1
    result["content"] = "\n".join(texts)
    if model == "prebuilt-layout":
        result["tables"] = [_table(digest)]
    if model == "prebuilt-idDocument":
        result["documents"] = [_passport(sure)]
    return result


def _table(digest: str) -> dict[str, Any]:
    cells: list[dict[str, Any]] = [
        {"kind": "columnHeader", "rowIndex": 0, "columnIndex": 0, "columnSpan": 2, "content": digest[:16]},
        {"rowIndex": 1, "columnIndex": 0, "content": "left"},
        {"rowIndex": 1, "columnIndex": 1, "content": "right"},
    ]
    for cell in cells:
        box = (40 + 200 * cell["columnIndex"], 60 + 40 * cell["rowIndex"], 200 * cell.get("columnSpan", 1), 40)
        cell["boundingRegions"] = [{"pageNumber": 1, "polygon": _numbers(*box)}]
    region = {"pageNumber": 1, "polygon": _numbers(40, 60, 400, 80)}
    return {"rowCount": 2, "columnCount": 2, "cells": cells, "boundingRegions": [region]}


def _passport(sure: float) -> dict[str, Any]:
    said = {
        "LastName": ("string", "ERIKSSON"), "FirstName": ("string", "ANNA MARIA"),
        "DocumentNumber": ("string", "L898902C3"), "DateOfBirth": ("date", "12 AUG 1974"),
        "DateOfExpiration": ("date", "15 APR 2012"), "Sex": ("string", "F"), "CountryRegion": ("countryRegion", "UTO"),
    }  # fmt: skip
    dates = {"DateOfBirth": "1974-08-12", "DateOfExpiration": "2012-04-15"}
    fields: dict[str, Any] = {}
    for row, (name, (kind, words)) in enumerate(said.items()):
        value = {"date": "valueDate", "countryRegion": "valueCountryRegion"}.get(kind, "valueString")
        fields[name] = {
            "type": kind,
            value: dates.get(name, words),
            "content": words,
            "confidence": sure,
            "boundingRegions": [{"pageNumber": 1, "polygon": _numbers(40, 10 + 20 * row, 300, 18)}],
        }
    return {"docType": "idDocument.passport", "confidence": sure, "fields": fields}


def _words(line: str, number: int) -> list[tuple[str, tuple[int, int, int, int]]]:
    """The words with a box each: left, top, width and height."""
    left, boxes = 40, []
    for word in line.split():
        boxes.append((word, (left, 60 + 88 * number, 20 * len(word), 56)))
        left += 20 * (len(word) + 1)
    return boxes


def _numbers(left: int, top: int, width: int, height: int) -> list[int]:
    return [side for point in _points(left, top, width, height) for side in point.values()]


def _points(left: int, top: int, width: int, height: int) -> list[dict[str, int]]:
    right, bottom = left + width, top + height
    return [{"x": x, "y": y} for x, y in ((left, top), (right, top), (right, bottom), (left, bottom))]
