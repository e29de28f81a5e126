"""Tencent Cloud OCR."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tests.fakes.standin.images import check_image
from tests.fakes.standin.json_call import read_base64, read_json
from tests.fakes.standin.settings import StandInSettings
from tests.fakes.standin.subjects import BANK_CARD, BUSINESS_LICENCE, ID_CARD_BACK, ID_CARD_FRONT, in_chinese
from tests.fakes.standin.texts import confidence_of, text_of
from tests.fakes.standin.vendor import Asked, Denied, Head, Reply, Vendor

_CLOCK_SKEW_S = 300
_MAX_BODY_BYTES = 10_000_000
_IMAGES = ("image/jpeg", "image/png", "image/bmp")
_AUTHORIZATION = re.compile(
    r"TC3-HMAC-SHA256 Credential=([^/]+)/(\d{4}-\d{2}-\d{2})/(\w+)/tc3_request,"
    r" ?SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})"
)
_LANGUAGES = (
    "zh", "zh_rare", "auto", "mix", "jap", "kor", "spa", "fre", "ger", "por", "vie", "may", "rus", "ita", "hol", "swe",
    "fin", "dan", "nor", "hun", "tha", "hi", "ara",
)  # fmt: skip
_SWITCH = (True, False)
_MEMBERS: Mapping[str, Mapping[str, Sequence[Any]]] = {
    "GeneralBasicOCR": {"LanguageType": _LANGUAGES, "IsWords": _SWITCH, "IsPdf": _SWITCH, "Scene": ("",)},
    "GeneralAccurateOCR": {
        "IsWords": _SWITCH, "EnableDetectSplit": _SWITCH, "EnableDetectText": _SWITCH, "IsPdf": _SWITCH,
        "ConfigID": ("OCR", "MulOCR"), "WordsType": ("0", "1", "2"),
    },
    "RecognizeTableAccurateOCR": {"UseNewModel": _SWITCH},
    "IDCardOCR": {
        "CardSide": ("FRONT", "BACK"), "EnableRecognitionRectify": _SWITCH, "EnableReflectDetail": _SWITCH,
        "EnableDateVerify": _SWITCH, "CardWarnType": ("Basic", "Advanced"),
    },
    "BizLicenseOCR": {
        "EnableCopyWarn": _SWITCH, "EnablePeriodComplete": _SWITCH, "EnableBusinessCertificate": _SWITCH,
    },
    "BankCardOCR": dict.fromkeys(
        (
            "RetBorderCutImage", "RetCardNoImage", "EnableCopyCheck", "EnableReshootCheck", "EnableBorderCheck",
            "EnableQualityValue",
        ),
        _SWITCH,
    ),
}  # fmt: skip
_CONFIG = {
    "CropIdCard", "CropPortrait", "CopyWarn", "BorderCheckWarn", "ReshootWarn", "DetectPsWarn", "TempIdWarn",
    "InvalidDateWarn", "Quality", "MultiCardDetect", "ReflectWarn", "KeyCheck", "ValueCheck",
}  # fmt: skip
_LEFT, _TOP, _WIDTH, _HEIGHT, _PITCH = 20, 30, 320, 28, 44


class Tencent(Vendor):
    """Signed by TC3; the action stands in a header; errors come with HTTP 200."""

    name = "tencent"
    quotas = {
        "GeneralBasicOCR": 20, "GeneralAccurateOCR": 10, "RecognizeTableAccurateOCR": 2, "IDCardOCR": 20,
        "BizLicenseOCR": 10, "BankCardOCR": 10,
    }  # fmt: skip
    codes = {
        "throttled": "RequestLimitExceeded",
        "transient": "InternalError",
        "day_spent": "FailedOperation.CountLimitError",
        "quota_spent": "ResourceUnavailable.ResourcePackageRunOut",
        "credentials": "AuthFailure.SecretIdNotFound",
        "not_open": "FailedOperation.UnOpenError",
        "undecodable": "FailedOperation.ImageDecodeFailed",
        "too_large": "LimitExceeded.TooLargeFileError",
        "option": "InvalidParameterValue.InvalidParameterValueLimit",
        "not_this_document": "FailedOperation.ImageNoIdCard",
    }
    paths = ("/",)

    def action(self, head: Head) -> str:
        asked = head.headers.get("x-tc-action", "")
        return asked if asked in self.quotas else "GeneralBasicOCR"

    def admit(self, head: Head, settings: StandInSettings, now: float) -> str:
        return ""

    def read(self, head: Head, body: bytes, settings: StandInSettings, epoch_s: float) -> Asked:
        verify(head, body, settings.api_key, settings.secret_key, epoch_s)
        action = head.headers.get("x-tc-action", "")
        if action not in _MEMBERS:
            raise Denied("InvalidAction", f"The request action={action} is invalid")
        if head.headers.get("x-tc-version") != "2018-11-19":
            raise Denied("NoSuchVersion", "The request version is invalid")
        if head.headers.get("x-tc-token", "standin-token") != "standin-token":
            raise Denied("AuthFailure.TokenFailure", "The token is invalid")
        if len(body) > _MAX_BODY_BYTES:
            raise Denied("RequestSizeLimitExceeded", "The request is too large")
        said = read_json(head, body, code="InvalidParameter")
        encoded = said.pop("ImageBase64", None)
        if encoded is None:
            raise Denied("MissingParameter", "ImageBase64")
        if action == "BizLicenseOCR" and len(encoded) > 7_000_000:
            raise Denied("LimitExceeded.TooLargeFileError", "7M")
        _check_members(action, said)
        image = read_base64(encoded, code="undecodable")
        media_types = ("image/jpeg", "image/png") if action == "BizLicenseOCR" else _IMAGES
        check_image(image, whole=settings.whole_images, media_types=media_types)
        return Asked(action, (image,), said)

    def answer(self, asked: Asked, digests: Sequence[str], settings: StandInSettings) -> Reply:
        response = _response(asked, digests[0], settings)
        if not response:
            raise Denied("FailedOperation.ImageNoText", "图片中未检测到文本。")
        return Reply({"Response": {**response, "RequestId": _request_id(digests[0])}})

    def error(self, code: str, message: str) -> Reply:
        return Reply({"Response": {"Error": {"Code": code, "Message": message}, "RequestId": _request_id("0" * 32)}})


def verify(head: Head, body: bytes, key_id: str, secret: str, epoch_s: float) -> None:
    """As the service does. Raises Denied with one of its codes."""
    match = _AUTHORIZATION.fullmatch(head.headers.get("authorization", ""))
    timestamp = head.headers.get("x-tc-timestamp", "")
    if match is None or match[3] != "ocr" or not timestamp.isdigit():
        raise Denied("AuthFailure.InvalidAuthorization", "The Authorization header is not as it should be")
    if match[1] != key_id:
        raise Denied("AuthFailure.SecretIdNotFound", f"The SecretId {match[1]} is not found")
    if abs(int(timestamp) - epoch_s) > _CLOCK_SKEW_S:
        raise Denied("AuthFailure.SignatureExpire", "The signature is expired")
    names = match[4].split(";")
    if names != sorted(names) or not {"content-type", "host"} <= set(names) <= set(head.headers):
        raise Denied("AuthFailure.InvalidAuthorization", "content-type and host must be signed")
    canonical = [head.method, head.path, head.raw_query if head.method == "GET" else ""]
    canonical += [f"{name}:{head.headers[name].strip().lower()}" for name in names]
    payload = head.headers.get("x-tc-content-sha256", "")
    hashed = b"UNSIGNED-PAYLOAD" if payload == "UNSIGNED-PAYLOAD" else body
    canonical += ["", match[4], hashlib.sha256(hashed).hexdigest()]
    day = datetime.datetime.fromtimestamp(int(timestamp), tz=datetime.UTC).date().isoformat()
    digest = hashlib.sha256("\n".join(canonical).encode()).hexdigest()
    string = "\n".join(("TC3-HMAC-SHA256", timestamp, f"{day}/ocr/tc3_request", digest))
    key = b"TC3" + secret.encode()
    for step in (day, "ocr", "tc3_request", string):
        key = hmac.new(key, step.encode(), hashlib.sha256).digest()
    if day != match[2] or not hmac.compare_digest(key.hex(), match[5]):
        raise Denied("AuthFailure.SignatureFailure", f"The signature of {match[1]} is wrong: {string!r}")


def _check_members(action: str, said: Mapping[str, Any]) -> None:
    for name, value in said.items():
        if action == "IDCardOCR" and name == "Config":
            config = json.loads(value) if isinstance(value, str) else None
            if not isinstance(config, dict) or set(config) - _CONFIG or not {*config.values()} <= {True, False}:
                raise Denied("InvalidParameter.ConfigFormatError", "Config")
        elif name not in _MEMBERS[action]:
            raise Denied("UnknownParameter", f"The parameter `{name}` is not recognized.")
        elif not any(value is each or (isinstance(value, str) and value == each) for each in _MEMBERS[action][name]):
            raise Denied("InvalidParameterValue.InvalidParameterValueLimit", name)


def _request_id(digest: str) -> str:
    return "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:32]))


def _response(asked: Asked, digest: str, settings: StandInSettings) -> dict[str, Any]:
    """Empty where there is no text."""
    match asked.action:
        case "RecognizeTableAccurateOCR":
            return _table(digest, settings)
        case "IDCardOCR":
            return _id_card(asked.options.get("CardSide", "FRONT"))
        case "BizLicenseOCR":
            return _licence()
        case "BankCardOCR":
            return _bank_card()
        case _:
            return _text(asked, digest, settings)


def _text(asked: Asked, digest: str, settings: StandInSettings) -> dict[str, Any]:
    if not settings.lines:
        return {}
    angle = {0: 0.0, 1: 270.0, 2: 180.0, 3: 90.0}[settings.direction]
    lines = [_line(asked, digest, number, settings) for number in range(settings.lines)]
    said: dict[str, Any] = {"TextDetections": lines, "Angle": angle, "Angel": angle, "PdfPageSize": 0}
    return said | ({"Language": "zh"} if asked.action == "GeneralBasicOCR" else {})


def _line(asked: Asked, digest: str, number: int, settings: StandInSettings) -> dict[str, Any]:
    words, sure = text_of(digest, number), round(confidence_of(digest, settings) * 100)
    top = _TOP + number * _PITCH
    line: dict[str, Any] = {
        "DetectedText": words,
        "Confidence": sure,
        "Polygon": _corners(_LEFT, top, _WIDTH, _HEIGHT),
        "AdvancedInfo": json.dumps({"Parag": {"ParagNo": 1}}) if asked.action == "GeneralBasicOCR" else "",
        "ItemPolygon": {"X": _LEFT + 7, "Y": top + 5, "Width": _WIDTH, "Height": _HEIGHT},
        "Words": [],
        "WordCoordPoint": [],
    }
    if asked.options.get("IsWords"):
        letters = [(place, letter) for place, letter in enumerate(words) if letter != " "]
        line["Words"] = [{"Character": letter, "Confidence": sure} for _, letter in letters]
        line["WordCoordPoint"] = [
            {"WordCoordinate": _corners(_LEFT + 10 * place, top, 10, _HEIGHT)} for place, _ in letters
        ]
    return line


def _table(digest: str, settings: StandInSettings) -> dict[str, Any]:
    sure = round(confidence_of(digest, settings) * 100)
    cells = ((0, 1, 0, 2, digest[:16]), (1, 2, 0, 1, "left"), (1, 2, 1, 2, "right"))
    title = {
        "RowTl": -1, "RowBr": -1, "ColTl": -1, "ColBr": -1, "Text": "title", "Type": "body", "Confidence": sure,
        "Polygon": _corners(20, 20, 200, 30),
    }  # fmt: skip
    body = [
        {
            "RowTl": row, "RowBr": row_end, "ColTl": column, "ColBr": column_end, "Text": words, "Type": "body",
            "Confidence": sure,
            "Polygon": _corners(
                20 + 100 * column, 60 + 40 * row, 100 * (column_end - column), 40 * (row_end - row)
            ),
        }
        for row, row_end, column, column_end, words in cells
    ]  # fmt: skip
    tables = [
        {"Type": 0, "TableCoordPoint": None, "Cells": [title]},
        {"Type": 1, "TableCoordPoint": _corners(20, 60, 200, 80), "Cells": body},
    ]
    return {"TableDetections": tables, "Data": "UEsDBBQ=", "PdfPageSize": None, "Angle": 0.0}


def _id_card(side: str) -> dict[str, Any]:
    front, back = (ID_CARD_FRONT, {}) if side == "FRONT" else ({}, ID_CARD_BACK)
    year, month, day = front.get("birth_date", "0-0-0").split("-")
    return {
        "Name": front.get("name", ""),
        "Sex": {"F": "女", "M": "男"}.get(front.get("sex", ""), ""),
        "Nation": front.get("ethnicity", ""),
        "Birth": f"{year}/{int(month)}/{int(day)}" if front else "",
        "Address": front.get("address", ""),
        "IdNum": front.get("id_number", ""),
        "Authority": back.get("issuing_authority", ""),
        "ValidDate": "-".join(back[name].replace("-", ".") for name in ("valid_from", "valid_until")) if back else "",
        "AdvancedInfo": "{}",
        "ReflectDetailInfos": None,
    }


def _licence() -> dict[str, Any]:
    licence = BUSINESS_LICENCE
    return {
        "RegNum": licence["credit_code"],
        "Name": licence["company_name"],
        "Capital": licence["registered_capital"],
        "Person": licence["legal_representative"],
        "Address": licence["address"],
        "Business": licence["business_scope"],
        "Type": licence["company_type"],
        "Period": f"{in_chinese(licence['valid_from'])}至{in_chinese(licence['valid_until'])}",
        "ComposingForm": "",
        "SetDate": in_chinese(licence["established_date"]),
        "RecognizeWarnCode": None,
        "RecognizeWarnMsg": [],
        "IsDuplication": 1,
        "RegistrationDate": in_chinese(licence["registration_date"]),
        "Angle": 0.0,
        "Title": "营业执照",
        "SerialNumber": "",
        "RegistrationAuthority": "",
    }


def _bank_card() -> dict[str, Any]:
    year, month = BANK_CARD["valid_until"].split("-")
    return {
        "CardNo": BANK_CARD["card_number"],
        "BankInfo": f"{BANK_CARD['bank_name']}(03080000)",
        "ValidDate": f"{month}/{year}",
        "CardType": "借记卡",
        "CardName": "",
        "BorderCutImage": None,
        "CardNoImage": None,
        "WarningCode": None,
        "QualityValue": None,
    }


def _corners(left: int, top: int, width: int, height: int) -> list[dict[str, int]]:
    right, bottom = left + width, top + height
    return [{"X": x, "Y": y} for x, y in ((left, top), (right, top), (right, bottom), (left, bottom))]
