"""Huawei Cloud OCR."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from tests.fakes.standin.images import check_image
from tests.fakes.standin.json_call import read_base64, read_json
from tests.fakes.standin.settings import StandInSettings
from tests.fakes.standin.subjects import BANK_CARD, BUSINESS_LICENCE, ID_CARD_BACK, ID_CARD_FRONT, in_chinese
from tests.fakes.standin.texts import confidence_of, text_of
from tests.fakes.standin.vendor import Asked, Denied, Head, Reply, Vendor

PROJECT_ID = "standin-project"
_CLOCK_SKEW_S = 900
_MAX_BASE64 = 10_000_000
_IMAGES = ("image/jpeg", "image/png", "image/bmp", "image/tiff")
_AUTHORIZATION = re.compile(r"SDK-HMAC-SHA256 Access=([^,]+), SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})")
_STATUSES = {"APIG.0308": 429, "APIG.0201": 504, "APIG.0301": 401, "ModelArts.4204": 403}
_SWITCH = (True, False)
_LANGUAGES = (
    "auto", "ms", "uk", "hi", "ru", "vi", "id", "th", "zh", "ar", "de", "la", "fr", "it", "es", "pt", "ro", "pl", "am",
    "ja", "ko", "tr", "no", "da", "sv", "km", "he",
)  # fmt: skip
_MEMBERS: Mapping[str, Mapping[str, Sequence[Any]]] = {
    "general-text": {
        "detect_direction": _SWITCH, "quick_mode": _SWITCH, "character_mode": _SWITCH, "language": _LANGUAGES,
        "single_orientation_mode": _SWITCH, "return_markdown_result": _SWITCH,
    },
    "general-table": dict.fromkeys(
        (
            "return_text_location", "return_char_location", "return_confidence", "return_excel",
            "return_rectification_matrix", "with_borders",
        ),
        _SWITCH,
    ),
    "id-card": {
        "side": ("front", "back", "double_side"),
        **dict.fromkeys(
            (
                "return_verification", "return_text_location", "detect_reproduce", "detect_copy",
                "return_portrait_location", "return_portrait_image", "return_adjusted_image", "detect_tampering",
                "detect_border_integrity", "detect_blocking_within_border", "detect_blur", "detect_interim",
                "detect_glare",
            ),
            _SWITCH,
        ),
    },
    "business-license": {},
    "bankcard": {"return_text_location": _SWITCH},
}  # fmt: skip
_LEFT, _TOP, _WIDTH, _HEIGHT, _PITCH = 20, 30, 320, 28, 44


class Huawei(Vendor):
    """Signed with AK and SK; each service has a path of its own."""

    name = "huawei"
    quotas = dict.fromkeys(_MEMBERS, 10)
    codes = {
        "throttled": "APIG.0308",
        "transient": "APIG.0201",
        "credentials": "APIG.0301",
        "not_open": "ModelArts.4204",
        "undecodable": "AIS.0102",
        "too_large": "ModelArts.4104",
        "option": "AIS.0101",
    }
    paths = tuple(f"/v2/{{project_id}}/ocr/{name}" for name in _MEMBERS)

    def action(self, head: Head) -> str:
        return head.path.rpartition("/")[2]

    def admit(self, head: Head, settings: StandInSettings, now: float) -> str:
        return ""

    def read(self, head: Head, body: bytes, settings: StandInSettings, epoch_s: float) -> Asked:
        verify(head, body, settings.api_key, settings.secret_key, epoch_s)
        project = unquote(head.path.split("/")[2])
        if project != PROJECT_ID or head.headers.get("x-project-id", project) != project:
            raise Denied("APIG.0301", "Incorrect IAM authentication information: the project is another one")
        if head.headers.get("x-security-token", "standin-token") != "standin-token":
            raise Denied("APIG.0301", "Incorrect IAM authentication information: token")
        said = read_json(head, body, code="ModelArts.4105")
        action = self.action(head)
        encoded = said.pop("image", None)
        if isinstance(encoded, str) and len(encoded) > _MAX_BASE64:
            raise Denied("ModelArts.4104", "Invalid Request Content Length.")
        for name, value in said.items():
            values = _MEMBERS[action].get(name, ())
            if not any(value is each or (isinstance(value, str) and value == each) for each in values):
                raise Denied("AIS.0101", f"The input parameter {name} is invalid.")
        if said.get("return_char_location") and not said.get("return_text_location"):
            raise Denied("AIS.0101", "return_text_location must be true")
        image = read_base64(encoded, code="undecodable")
        media_types = (*_IMAGES, "image/gif", "image/webp") if action == "general-text" else _IMAGES
        check_image(image, whole=settings.whole_images, media_types=media_types)
        return Asked(action, (image,), said)

    def answer(self, asked: Asked, digests: Sequence[str], settings: StandInSettings) -> Reply:
        return Reply({"result": _RESULTS[asked.action](asked, digests[0], settings)})

    def error(self, code: str, message: str) -> Reply:
        return Reply({"error_code": code, "error_msg": message}, _STATUSES.get(code, 400))


def verify(head: Head, body: bytes, access_key: str, secret_key: str, epoch_s: float) -> None:
    """As the API gateway does. Raises Denied with one of its codes; it quotes what it signed."""
    match = _AUTHORIZATION.fullmatch(head.headers.get("authorization", ""))
    if match is None:
        raise Denied("APIG.0301", "Incorrect IAM authentication information: no signature")
    names = match[2].split(";")
    if names != sorted(names) or not {"host", "x-sdk-date"} <= set(names) <= set(head.headers):
        raise Denied("APIG.0301", "Incorrect IAM authentication information: SignedHeaders")
    if "x-security-token" in head.headers and "x-security-token" not in names:
        raise Denied("APIG.0301", "Incorrect IAM authentication information: x-security-token is not signed")
    try:
        signed_at = datetime.datetime.strptime(head.headers["x-sdk-date"], "%Y%m%dT%H%M%SZ").replace(
            tzinfo=datetime.UTC
        )
    except ValueError:
        raise Denied("APIG.0301", "Incorrect IAM authentication information: x-sdk-date") from None
    if abs(signed_at.timestamp() - epoch_s) > _CLOCK_SKEW_S:
        raise Denied("APIG.0301", "Incorrect IAM authentication information: x-sdk-date expired")
    segments = [quote(segment, safe="~") for segment in unquote(head.path).split("/")]
    pairs = sorted(parse_qsl(head.raw_query, keep_blank_values=True))
    canonical = "\n".join(
        (
            head.method,
            "/".join(segments).rstrip("/") + "/",
            "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in pairs),
            *(f"{name}:{head.headers[name].strip()}" for name in names),
            "",
            match[2],
            head.headers.get("x-sdk-content-sha256") or hashlib.sha256(body).hexdigest(),
        )
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    string = f"SDK-HMAC-SHA256\n{head.headers['x-sdk-date']}\n{digest}"
    wanted = hmac.new(secret_key.encode(), string.encode(), hashlib.sha256).hexdigest()
    if match[1] != access_key or not hmac.compare_digest(wanted, match[3]):
        words = "Incorrect IAM authentication information: verify aksk signature fail"
        raise Denied("APIG.0301", f"{words}, {match[1]}, {canonical!r}")


def _text(asked: Asked, digest: str, settings: StandInSettings) -> dict[str, Any]:
    lines = [_line(asked, digest, number, settings) for number in range(settings.lines)]
    direction = float(90 * settings.direction) if asked.options.get("detect_direction") else -1.0
    return {"direction": direction, "words_block_count": len(lines), "words_block_list": lines}


def _line(asked: Asked, digest: str, number: int, settings: StandInSettings) -> dict[str, Any]:
    words, sure, top = text_of(digest, number), confidence_of(digest, settings), _TOP + number * _PITCH
    line: dict[str, Any] = {
        "words": words,
        "confidence": sure,
        "location": _corners(_LEFT, top, _WIDTH, _HEIGHT),
    }
    if asked.options.get("character_mode"):
        line["char_list"] = [
            {"char": char, "char_location": _corners(_LEFT + 10 * place, top, 10, _HEIGHT), "char_confidence": sure}
            for place, char in enumerate(words)
            if char != " "
        ]
    return line


def _table(asked: Asked, digest: str, settings: StandInSettings) -> dict[str, Any]:
    said = asked.options
    cells = ((0, 1, 0, 2, digest[:16]), (1, 2, 0, 1, "left"), (1, 2, 1, 2, "right"))
    blocks = []
    for row, row_end, column, column_end, words in cells:
        block: dict[str, Any] = {
            "words": words, "rows": [*range(row, row_end)], "columns": [*range(column, column_end)],
        }  # fmt: skip
        if said.get("return_confidence"):
            block["confidence"] = confidence_of(digest, settings)
        if said.get("return_text_location"):
            block["cell_location"] = _corners(
                20 + 100 * column, 60 + 40 * row, 100 * (column_end - column), 40 * (row_end - row)
            )
        blocks.append(block)
    regions = [
        {"type": "text", "words_block_count": 1, "words_block_list": [{"words": "title", "rows": [], "columns": []}]},
        {"type": "table", "words_block_count": len(blocks), "words_block_list": blocks},
    ]
    return {"words_region_count": len(regions), "words_region_list": regions}


def _id_card(asked: Asked, digest: str, settings: StandInSettings) -> dict[str, Any]:
    front = {
        "name": ID_CARD_FRONT["name"], "sex": {"F": "女", "M": "男"}[ID_CARD_FRONT["sex"]],
        "ethnicity": ID_CARD_FRONT["ethnicity"], "birth": ID_CARD_FRONT["birth_date"],
        "address": ID_CARD_FRONT["address"], "number": ID_CARD_FRONT["id_number"],
    }  # fmt: skip
    back = {
        "issue": ID_CARD_BACK["issuing_authority"], "valid_from": ID_CARD_BACK["valid_from"],
        "valid_to": ID_CARD_BACK["valid_until"],
    }  # fmt: skip
    sides: dict[str, dict[str, Any]] = {"front": front, "back": back}
    if asked.options.get("return_text_location"):
        for side in sides.values():
            side["text_location"] = _locations(side)
    side_asked = asked.options.get("side", "front")
    return sides if side_asked == "double_side" else sides[side_asked]


def _licence(asked: Asked, digest: str, settings: StandInSettings) -> dict[str, Any]:
    licence = BUSINESS_LICENCE
    said = {
        "registration_number": licence["credit_code"],
        "name": licence["company_name"],
        "type": licence["company_type"],
        "address": licence["address"],
        "legal_representative": licence["legal_representative"],
        "registered_capital": licence["registered_capital"],
        "organization_form": "",
        "found_date": in_chinese(licence["established_date"]),
        "business_term": f"{in_chinese(licence['valid_from'])}至{in_chinese(licence['valid_until'])}",
        "business_scope": licence["business_scope"],
        "issue_date": in_chinese(licence["registration_date"]),
    }
    return said | {"confidence": dict.fromkeys(said, confidence_of(digest, settings))}


def _bank_card(asked: Asked, digest: str, settings: StandInSettings) -> dict[str, Any]:
    year, month = BANK_CARD["valid_until"].split("-")
    said: dict[str, Any] = {
        "bank_name": BANK_CARD["bank_name"], "card_number": BANK_CARD["card_number"], "issue_date": "",
        "expiry_date": f"{month}/{year[2:]}", "type": "储蓄卡",
    }  # fmt: skip
    sure = dict.fromkeys(said, confidence_of(digest, settings))
    places = {"text_location": _locations(said)} if asked.options.get("return_text_location") else {}
    return {**said, "confidence": sure, **places}


_RESULTS = {
    "general-text": _text,
    "general-table": _table,
    "id-card": _id_card,
    "business-license": _licence,
    "bankcard": _bank_card,
}


def _locations(said: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _corners(60, 40 + 40 * place, 16 * len(value), 24) for place, (key, value) in enumerate(said.items())}


def _corners(left: int, top: int, width: int, height: int) -> list[list[int]]:
    right, bottom = left + width, top + height
    return [[left, top], [right, top], [right, bottom], [left, bottom]]
