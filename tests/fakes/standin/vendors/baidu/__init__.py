"""Baidu AIP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from tests.fakes.standin.server import StandIn, reset
from tests.fakes.standin.settings import StandInSettings
from tests.fakes.standin.vendor import Asked, Handler, Head, Reply, Vendor
from tests.fakes.standin.vendors.baidu.answers import answer_of
from tests.fakes.standin.vendors.baidu.bce_auth import verify
from tests.fakes.standin.vendors.baidu.form import OPTIONS, read_form
from tests.fakes.standin.vendors.baidu.tokens import TokenDesk

_MESSAGES = {
    "4": "Open api request limit reached",
    "14": "IAM Certification failed",
    "17": "Open api daily request limit reached",
    "18": "Open api qps request limit reached",
    "110": "Access token invalid or no longer valid",
    "111": "Access token expired",
}


class Baidu(Vendor):
    """Tokens by the application's keys, or signatures; forms; errors with HTTP 200."""

    name = "baidu"
    quotas = {
        "general": 50, "general_basic": 50, "accurate": 50, "accurate_basic": 50, "table": 30,
        "idcard": 20, "business_license": 20, "bankcard": 20,
    }  # fmt: skip
    codes = {
        "throttled": "18",
        "transient": "282000",
        "day_spent": "17",
        "quota_spent": "19",
        "token_invalid": "110",
        "token_expired": "111",
        "credentials": "14",
        "not_open": "6",
        "undecodable": "216201",
        "too_large": "216202",
        "option": "216100",
        "not_this_document": "216633",
    }
    paths = tuple(f"/rest/2.0/ocr/v1/{endpoint}" for endpoint in OPTIONS)

    def __init__(self) -> None:
        self._tokens = TokenDesk()

    def action(self, head: Head) -> str:
        return head.path.rpartition("/")[2]

    def admit(self, head: Head, settings: StandInSettings, now: float) -> str:
        if "authorization" in head.headers and "access_token" not in head.query:
            return ""  # signed, which ``read`` verifies
        return self._tokens.code_of(head.query.get("access_token", ""), now)

    def read(self, head: Head, body: bytes, settings: StandInSettings, epoch_s: float) -> Asked:
        if "authorization" in head.headers:
            verify(head, settings, epoch_s)
        endpoint = self.action(head)
        content_type = head.headers.get("content-type", "").partition(";")[0]
        form = read_form(endpoint, content_type, body, whole_images=settings.whole_images)
        return Asked(endpoint, (form.image,), form.options)

    def answer(self, asked: Asked, digests: Sequence[str], settings: StandInSettings) -> Reply:
        return Reply(answer_of(asked.action, asked.options, digests[0], settings))

    def error(self, code: str, message: str) -> Reply:
        words = _MESSAGES.get(code, message) if message == "as told" else message
        number: int | str = int(code) if code.isdigit() else code
        return Reply({"error_code": number, "error_msg": words, "log_id": "1234567890123456789"})

    def expire_tokens(self) -> None:
        self._tokens.expire_all()

    def routes(self, stand_in: StandIn) -> Sequence[tuple[str, str, Handler]]:
        async def token(request: web.Request) -> web.StreamResponse:
            return await self._token(request, stand_in)

        return (("*", "/oauth/2.0/token", token),)

    async def _token(self, request: web.Request, stand_in: StandIn) -> web.StreamResponse:
        settings, ledger = stand_in.settings, stand_in.ledger
        ledger.token_requests += 1
        if settings.down:
            return reset(request)
        await request.read()
        if settings.token_latency_s:
            await asyncio.sleep(settings.token_latency_s)
        if settings.token_status:
            return web.Response(status=settings.token_status, text="out of order")
        query = request.query
        if query.get("grant_type") != "client_credentials":
            return _refused(400, "invalid_request", "unsupported grant")
        if query.get("client_id") != settings.api_key:
            return _refused(401, "invalid_client", "unknown client id")
        if query.get("client_secret") != settings.secret_key:
            return _refused(401, "invalid_client", "Client authentication failed")
        ledger.tokens_issued += 1
        token = self._tokens.issue(time.monotonic(), settings.token_lifetime_s)
        granted: dict[str, Any] = {"access_token": token, "expires_in": settings.token_lifetime_s}
        return web.json_response(granted | {"scope": "brain_all_scope"})


def _refused(status: int, error: str, description: str) -> web.StreamResponse:
    return web.json_response({"error": error, "error_description": description}, status=status)
