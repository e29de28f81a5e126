"""A server of OpenAI's chat completions with one vision model, as vLLM answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.fakes.standin.images import check_image
from tests.fakes.standin.json_call import read_data_url, read_json
from tests.fakes.standin.settings import StandInSettings
from tests.fakes.standin.texts import text_of
from tests.fakes.standin.vendor import Asked, Denied, Head, Reply, Vendor

MODEL = "PaddleOCR-VL"
_STATUSES = {
    "rate_limit_exceeded": 429,
    "invalid_api_key": 401,
    "model_not_found": 404,
    "insufficient_quota": 429,
    "server_error": 500,
    "engine_overloaded": 503,
    "InternalServerError": 500,
    "AuthenticationError": 401,
    "NotFoundError": 404,
    "RateLimitError": 429,
}


class OpenAiChat(Vendor):
    """Bearer keys, one picture and one prompt, text without places."""

    name = "openai"
    quotas = {"chat": 0}
    codes = {
        "throttled": "rate_limit_exceeded",
        "transient": "server_error",
        "quota_spent": "insufficient_quota",
        "credentials": "invalid_api_key",
        "not_open": "model_not_found",
        "undecodable": "invalid_image",
        "option": "invalid_request_error",
    }
    paths = ("/v1/chat/completions",)

    def action(self, head: Head) -> str:
        return "chat"

    def admit(self, head: Head, settings: StandInSettings, now: float) -> str:
        return "" if head.headers.get("authorization") == f"Bearer {settings.api_key}" else "credentials"

    def read(self, head: Head, body: bytes, settings: StandInSettings, epoch_s: float) -> Asked:
        said = read_json(head, body, code="option")
        if said.get("model") != MODEL:
            raise Denied("not_open", f"The model `{said.get('model')}` does not exist.")
        try:
            (message,) = said["messages"]
            picture, prompt = message["content"]
            url, words = picture["image_url"]["url"], prompt["text"]
        except (KeyError, TypeError, ValueError):
            raise Denied("option", "messages") from None
        if message.get("role") != "user" or picture.get("type") != "image_url" or prompt.get("type") != "text":
            raise Denied("option", "messages")
        if not isinstance(said.get("max_tokens"), int) or said["max_tokens"] < 1:
            raise Denied("option", "max_tokens")
        _, image = read_data_url(url, code="undecodable")
        check_image(image, whole=settings.whole_images)
        return Asked("chat", (image,), {"prompt": words, "max_tokens": said["max_tokens"]})

    def answer(self, asked: Asked, digests: Sequence[str], settings: StandInSettings) -> Reply:
        digest = digests[0]
        if "Table" in asked.options["prompt"]:
            written = (
                f"<table><tr><td colspan=2>{digest[:16]}</td></tr><tr><td>left</td><td>right</td></tr></table>"
                if settings.lines
                else ""
            )
        else:
            written = "\n".join(text_of(digest, line) for line in range(settings.lines))
        tokens = len(written.split())  # one a word is enough to tell what is too long
        finish = "stop"
        if tokens > asked.options["max_tokens"]:
            written, finish = " ".join(written.split()[: asked.options["max_tokens"]]), "length"
        choice: dict[str, Any] = {
            "index": 0,
            "message": {"role": "assistant", "content": written, "tool_calls": []},
            "logprobs": None,
            "finish_reason": finish,
            "stop_reason": None,
        }
        usage = {"prompt_tokens": 900, "completion_tokens": tokens, "total_tokens": 900 + tokens}
        return Reply(
            {
                "id": f"chatcmpl-{digest[:24]}",
                "object": "chat.completion",
                "created": 1767225600,
                "model": MODEL,
                "choices": [choice],
                "usage": usage,
            }
        )

    def error(self, code: str, message: str) -> Reply:
        said = {"error": {"message": message, "type": code, "param": None, "code": code}}
        status = _STATUSES.get(code, 400)
        return Reply(said, int(code) if code.isdigit() and 400 <= int(code) < 600 else status)
