"""Answers of the documented shapes, whose text tells which image they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.fakes.standin.settings import StandInSettings
from tests.fakes.standin.texts import confidence_of, text_of

ID_NUMBER = "11010519491231002X"
_LEFT, _TOP, _WIDTH, _HEIGHT, _PITCH = 20, 30, 320, 28, 44


def answer_of(endpoint: str, options: Mapping[str, str], digest: str, settings: StandInSettings) -> dict[str, Any]:
    """The JSON of a good answer."""
    answer: dict[str, Any] = {"log_id": int(digest[:15], 16)}
    match endpoint:
        case "table":
            return answer | _table(digest)
        case "idcard":
            return answer | _id_card(digest, options["id_card_side"])
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


def _id_card(digest: str, side: str) -> dict[str, Any]:
    front = {
        "姓名": "张三", "性别": "女", "民族": "汉", "出生": "19491231", "住址": f"北京市朝阳区 {digest[:16]} 号",
        "公民身份号码": ID_NUMBER,
    }  # fmt: skip
    back = {"签发机关": f"北京市公安局 {digest[:16]}", "签发日期": "20200131", "失效日期": "长期"}
    words = front if side == "front" else back
    return {
        "words_result_num": len(words),
        "words_result": {
            key: {"words": value, "location": _box(60, 40 + 40 * place, 16 * len(value), 24)}
            for place, (key, value) in enumerate(words.items())
        },
        "image_status": "normal",
        "idcard_number_type": 1,
    }


def _box(left: int, top: int, width: int, height: int) -> dict[str, int]:
    return {"left": left, "top": top, "width": width, "height": height}


def _corners(left: int, top: int, width: int, height: int) -> list[dict[str, int]]:
    right, bottom = left + width, top + height
    return [{"x": x, "y": y} for x, y in ((left, top), (right, top), (right, bottom), (left, bottom))]
