"""The stand-in over HTTP: its vendor's addresses, and ``/control`` for tests."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import socket
import struct
import time
from dataclasses import replace
from typing import Any

from aiohttp import web

from tests.fakes.standin.fault_plan import ThrottleBursts, fault_of, latency_of
from tests.fakes.standin.ledger import Ledger
from tests.fakes.standin.settings import EVERY_ACTION, StandInSettings
from tests.fakes.standin.vendor import Denied, Head, Reply, Vendor

_MAX_BODY_BYTES = 64 * 1024 * 1024


class StandIn:
    """The service. Counts an image as billed in the moment in which it hands its answer over."""

    def __init__(self, vendor: Vendor, settings: StandInSettings | None = None) -> None:
        self.vendor = vendor
        self.settings = settings or StandInSettings()
        self.ledger = Ledger()
        self._initial = self.settings
        self._bursts = ThrottleBursts()
        self._malformed = 0
        self._runner: web.AppRunner | None = None

    async def serve(self, host: str, port: int, *, keep_alive_s: float = 75.0) -> tuple[str, int]:
        """Listens; gives the address. A client that leaves ends its request."""
        app = web.Application(client_max_size=_MAX_BODY_BYTES)
        for method, path, handler in self.vendor.routes(self):
            app.router.add_route(method, path, handler)
        for path in self.vendor.paths:
            app.router.add_post(path, self._ocr)
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

    async def _ocr(self, request: web.Request) -> web.StreamResponse:
        arrived = time.monotonic()
        head = _head(request)
        action = self.vendor.action(head)
        self.ledger.arrive(action, arrived)
        try:
            if self.settings.down:
                self.ledger.faults["down"] += 1
                return reset(request)
            return await self._answer(request, head, action, arrived)
        except asyncio.CancelledError:
            self.ledger.abandoned += 1
            raise
        finally:
            self.ledger.leave()

    async def _answer(self, request: web.Request, head: Head, action: str, arrived: float) -> web.StreamResponse:
        settings, ledger = self.settings, self.ledger
        # Decided by the arrival, before anything is awaited.
        refusal = self._refusal(head, action, arrived)
        body = await request.read()
        ledger.read(action, len(body), time.monotonic())
        if refusal:
            return self._error(refusal)
        try:
            asked = self.vendor.read(head, body, settings, time.time() + settings.clock_offset_s)
        except Denied as error:
            return self._error(error.code, error.message)
        digests = [hashlib.sha256(image).hexdigest() for image in asked.images]
        seen_before = max([ledger.see(asked.action, digest) for digest in digests], default=0)
        latency_s = latency_of(settings, digests[0], seen_before)
        if latency_s:
            await asyncio.sleep(arrived + latency_s - time.monotonic())
        fault = fault_of(settings, digests[0], seen_before)
        if fault:
            return await self._fail(fault, request)
        if (planned := self._planned()) is not None:
            return planned
        if len(digests) == 1 and (code := image_error(digests[0], settings)):
            return self._error(code)
        try:
            reply = self.vendor.answer(asked, digests, settings)
        except Denied as error:
            return self._error(error.code, error.message)
        for digest in digests:
            if not image_error(digest, settings):
                ledger.bill(asked.action, digest)
        ledger.largest_batch = max(ledger.largest_batch, len(digests))
        return _response(reply)

    def _refusal(self, head: Head, action: str, arrived: float) -> str:
        """The error by which a request is refused whatever is in it, empty for none."""
        settings = self.settings
        code = self.vendor.admit(head, settings, arrived)
        if code:
            self.ledger.refused_tokens += 1
            return code
        if self._bursts.strikes(settings, arrived):
            self.ledger.faults["throttled"] += 1
            return "throttled"
        own = self.vendor.quotas.get(action, 0)
        quota = settings.quota.get(action, settings.quota.get(EVERY_ACTION, own))
        return self.ledger.admit(action, quota, settings.daily_quota, arrived)

    async def _fail(self, fault: str, request: web.Request) -> web.StreamResponse:
        self.ledger.faults[fault] += 1
        match fault:
            case "500":
                return web.Response(status=500, text="internal server error")
            case "reset":
                return reset(request)
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

    def _error(self, code: str, message: str = "", headers: dict[str, str] | None = None) -> web.Response:
        own = self.vendor.codes.get(code, code)
        self.ledger.errors[own] += 1
        reply = self.vendor.error(own, message or "as told")
        return _response(replace(reply, headers={**reply.headers, **(headers or {})}))

    async def _configure(self, request: web.Request) -> web.StreamResponse:
        changes: dict[str, Any] = await request.json()
        settings = self._initial if changes.pop("fresh", False) else self.settings
        if changes.pop("expire_tokens", False):
            self.vendor.expire_tokens()
        try:
            self.settings = settings.changed(changes)
        except ValueError as error:
            return web.Response(status=400, text=str(error))
        self._bursts = ThrottleBursts()
        return _response(Reply({"ok": True}))

    async def _stats(self, request: web.Request) -> web.StreamResponse:
        connections = len(self._runner.server.connections) if self._runner and self._runner.server else 0
        return _response(Reply(self.ledger.stats() | {"open_connections": connections - 1}))

    async def _reset(self, request: web.Request) -> web.StreamResponse:
        in_progress = self.ledger.in_progress
        self.ledger = Ledger()
        self.ledger.in_progress = in_progress
        return _response(Reply({"ok": True}))


def image_error(digest: str, settings: StandInSettings) -> str:
    """The error that an image is refused with; empty for none."""
    return next((code for start, code in settings.image_errors.items() if digest.startswith(start)), "")


def _head(request: web.Request) -> Head:
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Head(request.method, request.path, dict(request.query), request.rel_url.raw_query_string, headers)


def _response(reply: Reply) -> web.Response:
    body = json.dumps(reply.said, ensure_ascii=False).encode()
    headers = {**reply.headers, "Content-Type": reply.content_type}
    return web.Response(body=body, status=reply.status, headers=headers)


def reset(request: web.Request) -> web.Response:
    """Closes the connection so that the client sees a reset; gives the answer that nobody gets."""
    transport = request.transport
    if transport is not None:
        descriptor = transport.get_extra_info("socket").fileno()
        with socket.socket(fileno=os.dup(descriptor)) as same:
            same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response(status=500)
