"""Alibaba Cloud OCR."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, quote

from tests.fakes.standin.images import check_image
from tests.fakes.standin.settings import StandInSettings
from tests.fakes.standin.subjects import BANK_CARD, BUSINESS_LICENCE, ID_CARD_FRONT, in_chinese
from tests.fakes.standin.texts import confidence_of, text_of
from tests.fakes.standin.vendor import Asked, Denied, Head, Reply, Vendor

_CLOCK_SKEW_S = 900
_MAX_BODY_BYTES = 10_000_000
_AUTHORIZATION = re.compile(r"ACS3-HMAC-SHA256 Credential=([^,]+),SignedHeaders=([a-z0-9;-]+),Signature=([0-9a-f]{64})")
_OPTIONS: Mapping[str, frozenset[str]] = {
    "RecognizeGeneral": frozenset(),
    "RecognizeAdvanced": frozenset(
        {
            "NeedRotate", "NeedSortPage", "NoStamp", "OutputCharInfo", "OutputFigure", "OutputTable", "Paragraph",
            "Row",
        }
    ),
    "RecognizeTableOcr": frozenset({"NeedRotate", "LineLess", "SkipDetection", "IsHandWriting"}),
    "RecognizeIdcard": frozenset({"OutputFigure", "OutputQualityInfo", "Llm_rec"}),
    "RecognizeBusinessLicense": frozenset(),
    "RecognizeBankCard": frozenset(),
}  # fmt: skip
_STATUSES = {
    "algorithmError": 503, "ServiceUnavailable": 503, "ocrServiceNotOpen": 401, "OcrServiceExpired": 401,
    "noPermission": 401, "exceededImageContent": 413, "unsupportedImageFormat": 415, "illegalImageSize": 416,
    "InvalidAccessKeyId.NotFound": 404, "InternalError": 500,
}  # fmt: skip
_LEFT, _TOP, _WIDTH, _HEIGHT, _PITCH = 20, 30, 320, 28, 44


class Alibaba(Vendor):
    """Signed by ACS3; the action stands in a header, the options in the query, the image in the body."""

    name = "alibaba"
    quotas = dict.fromkeys(_OPTIONS, 10)
    codes = {
        "throttled": "Throttling.User",
        "transient": "algorithmError",
        "quota_spent": "OcrServiceExpired",
        "credentials": "InvalidAccessKeyId.NotFound",
        "not_open": "ocrServiceNotOpen",
        "undecodable": "unsupportedImageFormat",
        "too_large": "exceededImageContent",
        "option": "InvalidParameter",
        "not_this_document": "unmatchedImageType",
    }
    paths = ("/",)

    def __init__(self) -> None:
        self._nonces: set[str] = set()

    def action(self, head: Head) -> str:
        asked = head.headers.get("x-acs-action", "")
        return asked if asked in self.quotas else "RecognizeGeneral"

    def admit(self, head: Head, settings: StandInSettings, now: float) -> str:
        return ""

    def read(self, head: Head, body: bytes, settings: StandInSettings, epoch_s: float) -> Asked:
        verify(head, body, settings.api_key, settings.secret_key, epoch_s)
        nonce = head.headers["x-acs-signature-nonce"]
        if nonce in self._nonces:
            raise Denied("SignatureNonceUsed", "Specified signature nonce was used already.")
        self._nonces.add(nonce)
        if head.headers.get("x-acs-security-token", "standin-token") != "standin-token":
            raise Denied("InvalidSecurityToken.Malformed", "Specified SecurityToken is malformed.")
        action = head.headers.get("x-acs-action", "")
        if action not in _OPTIONS:
            raise Denied("InvalidAction.NotFound", "Specified api is not found.")
        if head.headers.get("x-acs-version") != "2021-07-07":
            raise Denied("InvalidVersion", "Specified parameter Version is not valid.")
        options = dict(parse_qsl(head.raw_query, keep_blank_values=True))
        for name, value in options.items():
            if name not in _OPTIONS[action] or value.lower() not in ("true", "false"):
                raise Denied("InvalidParameter", f"The parameter {name} is invalid.")
        if not body:
            raise Denied("MissingImageUrl", "Missing image url.")
        if len(body) > _MAX_BODY_BYTES:
            raise Denied("exceededImageContent", "The image content has exceeded 10M.")
        if head.headers.get("content-type") != "application/octet-stream":
            raise Denied("InvalidParameter", "Content-Type")
        check_image(body, whole=settings.whole_images)
        return Asked(action, (body,), {name: value.lower() == "true" for name, value in options.items()})

    def answer(self, asked: Asked, digests: Sequence[str], settings: StandInSettings) -> Reply:
        data = _DATA[asked.action](asked, digests[0], settings)
        return Reply({"RequestId": _request_id(digests[0]), "Data": json.dumps(data, ensure_ascii=False)})

    def error(self, code: str, message: str) -> Reply:
        said = {
            "RequestId": _request_id("0" * 32), "HostId": "ocr-api.cn-hangzhou.aliyuncs.com", "Code": code,
            "Message": message, "Recommend": "https://next.api.aliyun.com/troubleshoot",
        }  # fmt: skip
        return Reply(said, _STATUSES.get(code, 400))


def verify(head: Head, body: bytes, key_id: str, secret: str, epoch_s: float) -> None:
    """As the service does: decodes the query and encodes it anew. Raises Denied with one of its codes; it quotes what
    it signed."""
    headers = head.headers
    match = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    if match is None:
        raise Denied("IncompleteSignature", "The request signature does not conform to Aliyun standards.")
    if match[1] != key_id:
        raise Denied("InvalidAccessKeyId.NotFound", f"Specified access key {match[1]} is not found.")
    names = match[2].split(";")
    must = {name for name in headers if name.startswith("x-acs-")} | {"host"} | ({"content-type"} & set(headers))
    if names != sorted(names) or not must <= set(names) <= set(headers):
        raise Denied("IncompleteSignature", "All of x-acs-*, host and content-type must be signed.")
    if missing := {"x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256", "x-acs-action"} - must:
        raise Denied("IncompleteSignature", f"{sorted(missing)} is missing")
    try:
        signed_at = datetime.datetime.strptime(headers["x-acs-date"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.UTC)
    except ValueError:
        raise Denied("InvalidTimeStamp.Format", "Specified time stamp or date value is not well formatted.") from None
    if abs(signed_at.timestamp() - epoch_s) > _CLOCK_SKEW_S:
        raise Denied("InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.")
    if headers["x-acs-content-sha256"] != hashlib.sha256(body).hexdigest():
        raise Denied("SignatureDoesNotMatch", "The body has another SHA-256.")
    pairs = sorted(parse_qsl(head.raw_query, keep_blank_values=True))
    canonical = "\n".join(
        (
            head.method,
            head.path,
            "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in pairs),
            *(f"{name}:{headers[name].strip()}" for name in names),
            "",
            match[2],
            headers["x-acs-content-sha256"],
        )
    )
    string = f"ACS3-HMAC-SHA256\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    wanted = hmac.new(secret.encode(), string.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(wanted, match[3]):
        raise Denied("SignatureDoesNotMatch", f"Specified signature does not match; server string: {canonical!r}")


def _request_id(digest: str) -> str:
    return "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:32])).upper()


_EXTENT = {"width": 1000, "height": 700, "orgWidth": 1000, "orgHeight": 700}


def _text(asked: Asked, digest: str, settings: StandInSettings) -> dict[str, Any]:
    lines = [_line(asked, digest, number, settings) for number in range(settings.lines)]
    said: dict[str, Any] = {
        "content": "".join(f"{line['word']} " for line in lines),
        "prism_version": "1.0.9",
        "prism_wnum": len(lines),
        "prism_wordsInfo": lines,
    }
    if asked.options.get("Paragraph"):
        said["prism_paragraphsInfo"] = [{"paragraphId": 0, "word": said["content"]}]
    return said


def _line(asked: Asked, digest: str, number: int, settings: StandInSettings) -> dict[str, Any]:
    words, sure, top = text_of(digest, number), round(confidence_of(digest, settings) * 100), _TOP + number * _PITCH
    line: dict[str, Any] = {
        "word": words, "prob": sure, "angle": -89, "direction": 0, "pos": _corners(_LEFT, top, _WIDTH, _HEIGHT),
        "x": _LEFT + 146, "y": top - 146, "width": _HEIGHT, "height": _WIDTH,
    }  # fmt: skip
    if asked.options.get("OutputCharInfo"):
        line["charInfo"] = [
            {"word": char, "prob": sure, "x": _LEFT + 10 * place, "y": top, "w": 10, "h": _HEIGHT}
            for place, char in enumerate(words)
            if char != " "
        ]
    if asked.options.get("Paragraph"):
        line["paragraphId"] = 0
    return line


def _table(asked: Asked, digest: str, settings: StandInSettings) -> dict[str, Any]:
    cells = ((0, 0, 0, 1, digest[:16]), (1, 1, 0, 0, "left"), (1, 1, 1, 1, "right"))
    sure = round(confidence_of(digest, settings) * 100)
    infos, words = [], [_line(asked, digest, 0, settings) | {"word": "title"}]
    for number, (row, row_end, column, column_end, text) in enumerate(cells):
        pos = _corners(20 + 100 * column, 60 + 40 * row, 100 * (column_end - column + 1), 40 * (row_end - row + 1))
        infos.append(
            {
                "tableCellId": number,
                "word": text,
                "ysc": row,
                "yec": row_end,
                "xsc": column,
                "xec": column_end,
                "pos": pos,
            }
        )
        words.append({"word": text, "prob": sure, "pos": pos, "tableId": 0, "tableCellId": number})
    return {
        "content": " ".join(word["word"] for word in words),
        **_EXTENT,
        "prism_version": "1.0.9",
        "prism_wnum": len(words),
        "prism_wordsInfo": words,
        "prism_tablesInfo": [{"tableId": 0, "xCellSize": 2, "yCellSize": 2, "cellInfos": infos}],
        "tableHeadTail": [{"tableId": 0, "head": ["title"], "tail": []}],
    }  # fmt: skip


def _id_card(asked: Asked, digest: str, settings: StandInSettings) -> dict[str, Any]:
    card = ID_CARD_FRONT
    fields = {
        "name": card["name"], "sex": {"F": "女", "M": "男"}[card["sex"]], "ethnicity": card["ethnicity"],
        "birthDate": in_chinese(card["birth_date"]), "address": card["address"], "idNumber": card["id_number"],
    }  # fmt: skip
    face = _keyed(fields, digest, settings) | {"angle": 0}
    if asked.options.get("OutputQualityInfo"):
        face["warning"] = {
            "isCopy": 0, "isReshoot": 0, "completenessScore": 99.0, "qualityScore": 90.0, "tamperScore": 1.0,
        }  # fmt: skip
    return {"data": {"face": face}}


def _licence(asked: Asked, digest: str, settings: StandInSettings) -> dict[str, Any]:
    licence = BUSINESS_LICENCE
    fields = {
        "creditCode": licence["credit_code"],
        "companyName": licence["company_name"],
        "companyType": licence["company_type"],
        "businessAddress": licence["address"],
        "legalPerson": licence["legal_representative"],
        "businessScope": licence["business_scope"],
        "registeredCapital": licence["registered_capital"],
        "RegistrationDate": in_chinese(licence["established_date"]),
        "validPeriod": f"{in_chinese(licence['valid_from'])}至{in_chinese(licence['valid_until'])}",
        "validFromDate": licence["valid_from"].replace("-", ""),
        "validToDate": licence["valid_until"].replace("-", ""),
        "companyForm": "",
    }
    return _keyed(fields, digest, settings)


def _bank_card(asked: Asked, digest: str, settings: StandInSettings) -> dict[str, Any]:
    fields = {
        "bankName": BANK_CARD["bank_name"], "cardNumber": BANK_CARD["card_number"],
        "validToDate": BANK_CARD["valid_until"].replace("-", "/"), "cardType": "DC",
    }  # fmt: skip
    return _keyed(fields, digest, settings)


def _keyed(fields: Mapping[str, str], digest: str, settings: StandInSettings) -> dict[str, Any]:
    sure = round(confidence_of(digest, settings) * 100)
    infos = [
        {
            "key": key, "keyProb": 100, "value": value, "valueProb": sure,
            "valuePos": _corners(60, 40 + 40 * place, 16 * len(value), 24),
        }
        for place, (key, value) in enumerate(fields.items())
        if value
    ]  # fmt: skip
    return {
        "data": dict(fields), "ftype": 0, **_EXTENT, "prism_keyValueInfo": infos,
        "sliceRect": {"x0": 0, "y0": 0, "x1": 1000, "y1": 0, "x2": 1000, "y2": 700, "x3": 0, "y3": 700},
    }  # fmt: skip


_DATA = {
    "RecognizeGeneral": _text,
    "RecognizeAdvanced": _text,
    "RecognizeTableOcr": _table,
    "RecognizeIdcard": _id_card,
    "RecognizeBusinessLicense": _licence,
    "RecognizeBankCard": _bank_card,
}


def _corners(left: int, top: int, width: int, height: int) -> list[dict[str, int]]:
    right, bottom = left + width, top + height
    return [{"x": x, "y": y} for x, y in ((left, top), (right, top), (right, bottom), (left, bottom))]
