"""Answers of the documented shapes, whose text tells which image they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.fakes.standin.settings import StandInSettings
from tests.fakes.standin.subjects import BANK_CARD, BUSINESS_LICENCE, ID_CARD_BACK, ID_CARD_FRONT, in_chinese
from tests.fakes.standin.texts import confidence_of, text_of

_NOTHING = "无"
_LEFT, _TOP, _WIDTH, _HEIGHT, _PITCH = 20, 30, 320, 28, 44


def answer_of(endpoint: str, options: Mapping[str, str], digest: str, settings: StandInSettings) -> dict[str, Any]:
    """The JSON of a good answer."""
    answer: dict[str, Any] = {"log_id": int(digest[:15], 16)}
    match endpoint:
        case "table":
            return answer | _table(digest)
        case "idcard":
            return answer | _id_card(options["id_card_side"])
        case "business_license":
            return answer | _business_licence()
        case "bankcard":
            return answer | _bank_card()
        case _:
            return answer | _text(endpoint, options, digest, settings)


def _text(endpoint: str, options: Mapping[str, str], digest: str, settings: StandInSettings) -> dict[str, Any]:
    confidence = confidence_of(digest, settings)
    lines: list[dict[str, Any]] = []
    for number in range(settings.lines):
        top = _TOP + number * _PITCH
        line: dict[str, Any] = {"words": text_of(digest, number)}
        if not endpoint.endswith("_basic"):
            line["location"] = _box(_LEFT, top, _WIDTH, _HEIGHT)
            if options.get("vertexes_location") == "true":
                line["vertexes_location"] = _corners(_LEFT, top, _WIDTH, _HEIGHT)
            if options.get("recognize_granularity") == "small":
                line["chars"] = [
                    {"char": char, "location": _box(_LEFT + 10 * place, top, 10, _HEIGHT)}
                    for place, char in enumerate(line["words"])
                    if char != " "
                ]
        if options.get("probability") == "true":
            line["probability"] = {"average": confidence, "min": confidence, "variance": 0.0}
        lines.append(line)
    answer: dict[str, Any] = {"words_result_num": len(lines), "words_result": lines}
    if options.get("detect_direction") == "true":
        answer["direction"] = settings.direction
    if options.get("paragraph") == "true":
        answer["paragraphs_result"] = [{"words_result_idx": list(range(len(lines)))}]
        answer["paragraphs_result_num"] = 1
    return answer


def _table(digest: str) -> dict[str, Any]:
    cells = ((0, 1, 0, 2, digest[:16]), (1, 2, 0, 1, "left"), (1, 2, 1, 2, "right"))
    return {
        "table_num": 1,
        "tables_result": [
            {
                "table_location": _corners(20, 60, 200, 80),
                "header": [{"location": _corners(20, 20, 200, 30), "words": "title"}],
                "body": [
                    {
                        "row_start": row,
                        "row_end": row_end,
                        "col_start": column,
                        "col_end": column_end,
                        "words": words,
                        "cell_location": _corners(
                            20 + 100 * column, 60 + 40 * row, 100 * (column_end - column), 40 * (row_end - row)
                        ),
                    }
                    for row, row_end, column, column_end, words in cells
                ],
                "footer": [{"location": _corners(20, 150, 200, 30), "words": "signed"}],
            }
        ],
    }


def _id_card(side: str) -> dict[str, Any]:
    front, back = ID_CARD_FRONT, ID_CARD_BACK
    words = {
        "姓名": front["name"], "性别": "女", "民族": front["ethnicity"], "出生": _compact(front["birth_date"]),
        "住址": front["address"], "公民身份号码": front["id_number"],
    }  # fmt: skip
    if side == "back":
        words = {
            "签发机关": back["issuing_authority"],
            "签发日期": _compact(back["valid_from"]),
            "失效日期": _compact(back["valid_until"]),
        }
    return {**_placed(words), "image_status": "normal", "idcard_number_type": 1}


def _business_licence() -> dict[str, Any]:
    licence = BUSINESS_LICENCE
    return _placed(
        {
            "社会信用代码": licence["credit_code"],
            "单位名称": licence["company_name"],
            "法人": licence["legal_representative"],
            "类型": licence["company_type"],
            "注册资本": licence["registered_capital"],
            "成立日期": in_chinese(licence["established_date"]),
            "有效期起始日期": in_chinese(licence["valid_from"]),
            "有效期": in_chinese(licence["valid_until"]),
            "地址": licence["address"],
            "经营范围": licence["business_scope"],
            "核准日期": in_chinese(licence["registration_date"]),
            "证件编号": _NOTHING,
            "组成形式": _NOTHING,
        }
    )


def _bank_card() -> dict[str, Any]:
    card = BANK_CARD
    number, (year, month) = card["card_number"], card["valid_until"].split("-")
    return {
        "result": {
            "bank_card_number": " ".join(number[at : at + 4] for at in range(0, len(number), 4)),
            "valid_date": f"{month}/{year[2:]}",
            "bank_card_type": 1,
            "bank_name": card["bank_name"],
            "holder_name": "",
        },
        "direction": 0,
    }


def _placed(words: Mapping[str, str]) -> dict[str, Any]:
    """Each with its box, one below the other; what a document does not state has one at -1 without an extent."""
    return {
        "words_result_num": len(words),
        "words_result": {
            key: {
                "words": value,
                "location": _box(-1, -1, 0, 0) if value == _NOTHING else _box(60, 40 + 40 * place, 16 * len(value), 24),
            }
            for place, (key, value) in enumerate(words.items())
        },
    }


def _compact(day: str) -> str:
    """20200131."""
    return day.replace("-", "")


def _box(left: int, top: int, width: int, height: int) -> dict[str, int]:
    return {"left": left, "top": top, "width": width, "height": height}


def _corners(left: int, top: int, width: int, height: int) -> list[dict[str, int]]:
    right, bottom = left + width, top + height
    return [{"x": x, "y": y} for x, y in ((left, top), (right, top), (right, bottom), (left, bottom))]
