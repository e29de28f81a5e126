"""A server of the Open Inference Protocol with one model, ``ocr``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.fakes.standin.images import check_image
from tests.fakes.standin.json_call import read_base64, read_json
from tests.fakes.standin.settings import StandInSettings
from tests.fakes.standin.texts import confidence_of, text_of
from tests.fakes.standin.vendor import Asked, Denied, Head, Reply, Vendor

MODEL_PATHS = ("/v2/models/ocr/infer", "/v2/models/ocr/versions/3/infer")
_OUTPUTS = ("texts", "scores", "boxes")


class Kserve(Vendor):
    """Tensors in JSON; errors have words and a status."""

    name = "kserve"
    quotas = {"infer": 0}
    codes = {"throttled": "429", "transient": "503", "undecodable": "422", "credentials": "401", "not_open": "404"}
    paths = ("/v2/models/{tail:.*}",)

    def action(self, head: Head) -> str:
        return "infer"

    def admit(self, head: Head, settings: StandInSettings, now: float) -> str:
        return "" if head.headers.get("authorization") == f"Bearer {settings.api_key}" else "credentials"

    def read(self, head: Head, body: bytes, settings: StandInSettings, epoch_s: float) -> Asked:
        if head.path not in MODEL_PATHS:
            raise Denied("404", "Request for unknown model")
        said = read_json(head, body, code="400")
        try:
            (tensor,) = said["inputs"]
            if (tensor["name"], tensor["shape"], tensor["datatype"]) != ("image", [1], "BYTES"):
                raise Denied("400", "unexpected shape or datatype for input 'image'")
            (encoded,) = tensor["data"]
            wanted = [output["name"] for output in said.get("outputs", [])] or list(_OUTPUTS)
        except (ValueError, KeyError, TypeError):
            raise Denied("400", "failed to parse the request JSON buffer") from None
        image = read_base64(encoded, code="422")
        if unknown := set(wanted) - set(_OUTPUTS):
            raise Denied("400", f"unexpected inference output {sorted(unknown)}")
        check_image(image, whole=settings.whole_images)
        return Asked("infer", (image,), {"outputs": wanted})

    def answer(self, asked: Asked, digests: Sequence[str], settings: StandInSettings) -> Reply:
        lines = range(settings.lines)
        boxes = [(20.0, 30.0 + 44 * line, 340.0, 58.0 + 44 * line) for line in lines]
        tensors: dict[str, dict[str, Any]] = {
            "texts": {
                "shape": [len(lines)],
                "datatype": "BYTES",
                "data": [text_of(digests[0], line) for line in lines],
            },
            "scores": {
                "shape": [len(lines)],
                "datatype": "FP32",
                "data": [confidence_of(digests[0], settings) for _ in lines],
            },
            "boxes": {"shape": [len(lines), 4], "datatype": "FP32", "data": [side for box in boxes for side in box]},
        }
        outputs = [{"name": name, **tensors[name]} for name in asked.options["outputs"]]
        return Reply({"model_name": "ocr", "model_version": "3", "outputs": outputs})

    def error(self, code: str, message: str) -> Reply:
        status = int(code) if code.isdigit() and 400 <= int(code) < 600 else 500
        return Reply({"error": message}, status)
