"""The stand-in over HTTP: Baidu's addresses, and ``/control`` for tests."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import socket
import struct
import time
from typing import Any

from aiohttp import web

from tests.fakes.baidu_standin.answers import answer_of
from tests.fakes.baidu_standin.fault_plan import ThrottleBursts, fault_of, latency_of
from tests.fakes.baidu_standin.form import OPTIONS, FormRefused, read_form
from tests.fakes.baidu_standin.ledger import Ledger
from tests.fakes.baidu_standin.settings import StandInSettings
from tests.fakes.baidu_standin.tokens import TokenDesk

_MAX_BODY_BYTES = 16 * 1024 * 1024
_MESSAGES = {
    4: "Open api request limit reached",
    17: "Open api daily request limit reached",
    18: "Open api qps request limit reached",
    110: "Access token invalid or no longer valid",
    111: "Access token expired",
}


class StandIn:
    """The service. Counts an image as billed in the moment in which it hands its answer over."""

    def __init__(self, settings: StandInSettings | None = None) -> None:
        self.settings = settings or StandInSettings()
        self.ledger = Ledger()
        self.tokens = TokenDesk()
        self._initial = self.settings
        self._bursts = ThrottleBursts()
        self._malformed = 0
        self._runner: web.AppRunner | None = None

    async def serve(self, host: str, port: int, *, keep_alive_s: float = 75.0) -> tuple[str, int]:
        """Listens; gives the address. A client that leaves ends its request."""
        app = web.Application(client_max_size=_MAX_BODY_BYTES)
        app.router.add_route("*", "/oauth/2.0/token", self._token)
        for endpoint in OPTIONS:
            app.router.add_post(f"/rest/2.0/ocr/v1/{endpoint}", self._ocr)
        app.router.add_post("/control/config", self._configure)
        app.router.add_get("/control/stats", self._stats)
        app.router.add_post("/control/reset", self._reset)
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, keepalive_timeout=keep_alive_s, shutdown_timeout=0.5
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, backlog=1024)
        await site.start()
        bound = self._runner.addresses[0]
        return str(bound[0]), int(bound[1])

    async def close(self) -> None:
        """Stops listening and closes every connection."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _token(self, request: web.Request) -> web.StreamResponse:
        self.ledger.token_requests += 1
        settings = self.settings
        if settings.down:
            return _reset(request)
        await request.read()
        if settings.token_latency_s:
            await asyncio.sleep(settings.token_latency_s)
        if settings.token_status:
            return web.Response(status=settings.token_status, text="out of order")
        query = request.query
        if query.get("grant_type") != "client_credentials":
            return _json({"error": "invalid_request", "error_description": "unsupported grant"}, status=400)
        if query.get("client_id") != settings.api_key:
            return _json({"error": "invalid_client", "error_description": "unknown client id"}, status=401)
        if query.get("client_secret") != settings.secret_key:
            return _json({"error": "invalid_client", "error_description": "Client authentication failed"}, status=401)
        self.ledger.tokens_issued += 1
        token = self.tokens.issue(time.monotonic(), settings.token_lifetime_s)
        return _json({"access_token": token, "expires_in": settings.token_lifetime_s, "scope": "brain_all_scope"})

    async def _ocr(self, request: web.Request) -> web.StreamResponse:
        arrived = time.monotonic()
        endpoint = request.path.rpartition("/")[2]
        self.ledger.arrive(endpoint, arrived)
        try:
            if self.settings.down:
                self.ledger.faults["down"] += 1
                return _reset(request)
            return await self._answer(request, endpoint, arrived)
        except asyncio.CancelledError:
            self.ledger.abandoned += 1
            raise
        finally:
            self.ledger.leave()

    async def _answer(self, request: web.Request, endpoint: str, arrived: float) -> web.StreamResponse:
        settings, ledger = self.settings, self.ledger
        # Decided by the arrival, before anything is awaited.
        refusal = self._refusal(request, endpoint, arrived)
        body = await request.read()
        ledger.read(endpoint, len(body), time.monotonic())
        if refusal:
            return self._error(refusal)
        try:
            form = read_form(endpoint, request.content_type, body, whole_images=settings.whole_images)
        except FormRefused as error:
            return self._error(error.code, error.message)
        digest = hashlib.sha256(form.image).hexdigest()
        seen_before = ledger.see(endpoint, digest)
        latency_s = latency_of(settings, digest, seen_before)
        if latency_s:
            await asyncio.sleep(arrived + latency_s - time.monotonic())
        fault = fault_of(settings, digest, seen_before)
        if fault:
            return await self._fail(fault, request)
        if (planned := self._planned()) is not None:
            return planned
        answer = answer_of(endpoint, form.options, digest, settings)
        ledger.bill(endpoint, digest)
        return _json(answer)

    def _refusal(self, request: web.Request, endpoint: str, arrived: float) -> int:
        """The error by which a request is refused whatever is in it, 0 for none."""
        settings = self.settings
        code = self.tokens.code_of(request.query.get("access_token", ""), arrived)
        if code:
            self.ledger.refused_tokens += 1
            return code
        if self._bursts.strikes(settings, arrived):
            self.ledger.faults["throttled"] += 1
            return 18
        return self.ledger.admit(endpoint, settings.quota.get(endpoint, 0), settings.daily_quota, arrived)

    async def _fail(self, fault: str, request: web.Request) -> web.StreamResponse:
        self.ledger.faults[fault] += 1
        match fault:
            case "500":
                return web.Response(status=500, text="internal server error")
            case "reset":
                return _reset(request)
            case "hang":
                await asyncio.Event().wait()
        self._malformed += 1
        if self._malformed % 2:
            return web.Response(body=b'{"words_result_num":1,"words_res', content_type="application/json")
        return web.Response(text="<html><body>Bad gateway</body></html>", content_type="text/html")

    def _planned(self) -> web.StreamResponse | None:
        """What the settings say that every request gets."""
        settings = self.settings
        headers = {"Retry-After": settings.retry_after} if settings.retry_after else None
        if settings.status:
            self.ledger.errors[f"HTTP {settings.status}"] += 1
            return web.Response(status=settings.status, text="as told", headers=headers)
        if settings.error_code:
            return self._error(settings.error_code, headers=headers)
        if settings.body is not None:
            return web.Response(body=settings.body.encode(), content_type="application/json")
        if settings.huge_bytes:
            return web.Response(body=bytes(settings.huge_bytes), content_type="application/json")
        return None

    def _error(self, code: int, message: str = "", headers: dict[str, str] | None = None) -> web.Response:
        self.ledger.errors[str(code)] += 1
        said = {
            "error_code": code,
            "error_msg": message or _MESSAGES.get(code, "as told"),
            "log_id": "1234567890123456789",
        }
        return _json(said, headers=headers)

    async def _configure(self, request: web.Request) -> web.StreamResponse:
        changes: dict[str, Any] = await request.json()
        settings = self._initial if changes.pop("fresh", False) else self.settings
        if changes.pop("expire_tokens", False):
            self.tokens.expire_all()
        try:
            self.settings = settings.changed(changes)
        except ValueError as error:
            return web.Response(status=400, text=str(error))
        self._bursts = ThrottleBursts()
        return _json({"ok": True})

    async def _stats(self, request: web.Request) -> web.StreamResponse:
        connections = len(self._runner.server.connections) if self._runner and self._runner.server else 0
        return _json(self.ledger.stats() | {"open_connections": connections - 1})

    async def _reset(self, request: web.Request) -> web.StreamResponse:
        in_progress = self.ledger.in_progress
        self.ledger = Ledger()
        self.ledger.in_progress = in_progress
        return _json({"ok": True})


def _json(said: dict[str, Any], *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    body = json.dumps(said, ensure_ascii=False).encode()
    return web.Response(body=body, status=status, content_type="application/json", headers=headers)


def _reset(request: web.Request) -> web.Response:
    """Closes the connection so that the client sees a reset; gives the answer that nobody gets."""
    transport = request.transport
    if transport is not None:
        descriptor = transport.get_extra_info("socket").fileno()
        with socket.socket(fileno=os.dup(descriptor)) as same:
            same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response(status=500)
