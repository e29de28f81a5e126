"""Mistral OCR. Answers have the shapes of its SDK's models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.fakes.standin.images import check_image, media_type_of
from tests.fakes.standin.json_call import read_data_url, read_json
from tests.fakes.standin.settings import StandInSettings
from tests.fakes.standin.texts import confidence_of, text_of
from tests.fakes.standin.vendor import Asked, Denied, Head, Reply, Vendor

WIDTH, HEIGHT = 1280, 960
"""The extent in which places are told; not the image's own, as the service scales pages."""
_KNOWN = {
    "model", "id", "document", "pages", "include_image_base64", "image_limit", "image_min_size", "table_format",
    "extract_header", "extract_footer", "include_blocks", "confidence_scores_granularity",
}  # fmt: skip
_STATUSES = {"rate_limited": 429, "unauthorized": 401, "invalid_model": 404, "invalid_request_error": 422}


class Mistral(Vendor):
    """Bearer keys, JSON, blocks in Markdown and tables in HTML."""

    name = "mistral"
    quotas = {"ocr": 5}
    codes = {
        "throttled": "rate_limited",
        "transient": "service_unavailable",
        "credentials": "unauthorized",
        "not_open": "invalid_model",
        "undecodable": "invalid_file",
        "too_large": "document_too_large",
        "option": "invalid_request_error",
    }
    paths = ("/v1/ocr",)

    def action(self, head: Head) -> str:
        return "ocr"

    def admit(self, head: Head, settings: StandInSettings, now: float) -> str:
        return "" if head.headers.get("authorization") == f"Bearer {settings.api_key}" else "credentials"

    def read(self, head: Head, body: bytes, settings: StandInSettings, epoch_s: float) -> Asked:
        said = read_json(head, body, code="option")
        if unknown := set(said) - _KNOWN:
            raise Denied("option", f"unknown members {sorted(unknown)}")
        if not str(said.get("model", "")).startswith("mistral-ocr"):
            raise Denied("not_open", "Invalid model")
        document = said.get("document")
        if not isinstance(document, dict) or document.get("type") != "image_url":
            raise Denied("option", "document")
        media_type, image = read_data_url(document.get("image_url"), code="undecodable")
        if len(image) > 50_000_000:
            raise Denied("too_large", "50 MB are allowed")
        check_image(image, whole=settings.whole_images)
        if media_type != media_type_of(image):
            raise Denied("undecodable", f"it is no {media_type}")
        return Asked("ocr", (image,), said)

    def answer(self, asked: Asked, digests: Sequence[str], settings: StandInSettings) -> Reply:
        digest, options = digests[0], asked.options
        scores = None
        if options.get("confidence_scores_granularity") == "block":
            sure = confidence_of(digest, settings)
            scores = {"average_content_confidence_score": sure, "minimum_content_confidence_score": sure}
        blocks: list[dict[str, Any]] = [
            {
                "type": "title" if line == 0 else "text",
                **_box(40, 60 + 88 * line, 680, 116 + 88 * line),
                "content": f"# {text_of(digest, line)}" if line == 0 else f"**{text_of(digest, line)}**",
                "confidence_scores": scores,
            }
            for line in range(settings.lines)
        ]
        table = (
            f"<table><thead><tr><th colspan='2'>{digest[:16]}</th></tr></thead>"
            "<tbody><tr><td>left</td><td>right</td></tr></tbody></table>"
        )
        page: dict[str, Any] = {
            "index": 0,
            "markdown": "\n\n".join(block["content"] for block in blocks),
            "images": [],
            "dimensions": {"dpi": 200, "width": WIDTH, "height": HEIGHT},
        }
        if options.get("table_format") == "html":
            page["tables"] = [{"id": "tbl-0.html", "content": table, "format": "html"}] if settings.lines else []
            if settings.lines:
                place = _box(40, 400, 680, 560)
                blocks.append(
                    {"type": "table", **place, "content": "[tbl-0.html](tbl-0.html)", "confidence_scores": scores}
                )
        if options.get("include_blocks"):
            page["blocks"] = blocks
        usage = {"pages_processed": 1, "doc_size_bytes": len(asked.images[0])}
        return Reply({"pages": [page], "model": "mistral-ocr-2512", "usage_info": usage, "document_annotation": None})

    def error(self, code: str, message: str) -> Reply:
        said = {"object": "error", "message": message, "type": code, "param": None, "code": code}
        status = _STATUSES.get(code, 503 if code == "service_unavailable" else 400)
        return Reply(said, int(code) if code.isdigit() and 400 <= int(code) < 600 else status)


def _box(left: int, top: int, right: int, bottom: int) -> dict[str, int]:
    return {"top_left_x": left, "top_left_y": top, "bottom_right_x": right, "bottom_right_y": bottom}
