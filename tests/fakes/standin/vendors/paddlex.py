"""PaddleX serving, the pipeline OCR."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from tests.fakes.standin.images import check_image
from tests.fakes.standin.json_call import read_base64, read_json
from tests.fakes.standin.settings import StandInSettings
from tests.fakes.standin.texts import confidence_of, text_of
from tests.fakes.standin.vendor import Asked, Denied, Head, Reply, Vendor

_KNOWN = {
    "file", "fileType", "useDocOrientationClassify", "useDocUnwarping", "useTextlineOrientation", "textDetLimitSideLen",
    "textDetLimitType", "textDetThresh", "textDetBoxThresh", "textDetUnclipRatio", "textRecScoreThresh",
    "returnWordBox", "visualize", "logId",
}  # fmt: skip


class Paddlex(Vendor):
    """JSON in, JSON out; errors repeat the HTTP status."""

    name = "paddlex"
    quotas = {"/ocr": 0}
    codes = {"transient": "500", "undecodable": "422", "option": "400"}
    paths = ("/ocr",)

    def action(self, head: Head) -> str:
        return head.path

    def admit(self, head: Head, settings: StandInSettings, now: float) -> str:
        return ""

    def read(self, head: Head, body: bytes, settings: StandInSettings, epoch_s: float) -> Asked:
        said = read_json(head, body, code="422")
        image = read_base64(said.get("file"), code="422")
        if unknown := set(said) - _KNOWN:
            raise Denied("422", f"unknown members {sorted(unknown)}")
        if said.get("fileType") != 1:
            raise Denied("422", "File type cannot be determined")
        check_image(image, whole=settings.whole_images)
        return Asked("/ocr", (image,), said)

    def answer(self, asked: Asked, digests: Sequence[str], settings: StandInSettings) -> Reply:
        lines = range(settings.lines)
        boxes = [(20, 30 + 44 * line, 340, 58 + 44 * line) for line in lines]
        pruned: dict[str, Any] = {
            "model_settings": {"use_doc_preprocessor": False, "use_textline_orientation": False},
            "dt_polys": [_corners(*box) for box in boxes],
            "rec_texts": [text_of(digests[0], line) for line in lines],
            "rec_scores": [confidence_of(digests[0], settings) for _ in lines],
            "rec_polys": [_corners(*box) for box in boxes],
            "rec_boxes": [list(box) for box in boxes],
        }
        result: dict[str, Any] = {
            "ocrResults": [{"prunedResult": pruned}],
            "dataInfo": {"type": "image", "width": 640, "height": 480},
        }
        if asked.options.get("visualize") is not False:
            result["ocrResults"][0]["ocrImage"] = base64.b64encode(bytes(100_000)).decode()
        return Reply({"logId": digests[0][:32], "errorCode": 0, "errorMsg": "Success", "result": result})

    def error(self, code: str, message: str) -> Reply:
        status = int(code) if code.isdigit() and 400 <= int(code) < 600 else 500
        return Reply({"logId": "0" * 32, "errorCode": status, "errorMsg": message}, status)


def _corners(left: int, top: int, right: int, bottom: int) -> list[list[int]]:
    return [[left, top], [right, top], [right, bottom], [left, bottom]]
