"""A server that writes down what arrives, and the SDKs' scripts that call it."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.sdk import ROOT, SDK_PYTHON

_PATIENCE_S = 60.0
_MAX_BODY_BYTES = 64 * 1024 * 1024

needs_sdks = pytest.mark.skipif(
    not SDK_PYTHON.exists() and not os.environ.get("CI"), reason="the SDKs are not installed: make setup-sdks"
)
"""Leaves a test out where the SDKs are not installed; in CI they are, else it fails."""


@dataclass(frozen=True, slots=True)
class Captured:
    """A request as it arrived. Names of headers are in small letters; ``path`` and ``raw_query`` are still encoded,
    ``query`` is decoded."""

    method: str
    path: str
    raw_query: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def said(self) -> Any:
        """The body's JSON."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class CannedAnswer:
    """An answer: JSON, unless ``body`` is bytes."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


Respond = Callable[[Captured], CannedAnswer]


@dataclass(slots=True)
class CaptureServer:
    """The server; ``requests`` are in the order of their arrival."""

    address: str
    requests: list[Captured] = field(default_factory=list)

    @property
    def url(self) -> str:
        """``http://HOST:PORT``."""
        return f"http://{self.address}"


@asynccontextmanager
async def capture_server(respond: Respond) -> AsyncIterator[CaptureServer]:
    """Listens on a free port of the loopback for requests of every method and path; ``respond`` has the answers."""
    server = CaptureServer("")

    async def handle(request: web.Request) -> web.StreamResponse:
        captured = Captured(
            request.method,
            request.rel_url.raw_path,
            request.rel_url.raw_query_string,
            dict(request.query),
            {name.lower(): value for name, value in request.headers.items()},
            await request.read(),
        )
        server.requests.append(captured)
        answer = respond(captured)
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body, ensure_ascii=False).encode()
        headers = {**answer.headers, "Content-Type": answer.content_type}
        return web.Response(body=body, status=answer.status, headers=headers)

    app = web.Application(client_max_size=_MAX_BODY_BYTES)
    app.router.add_route("*", "/{tail:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        server.address = f"{host}:{port}"
        yield server
    finally:
        await runner.cleanup()


async def run_sdk(
    vendor: str, url: str, action: str, image: Path, *, keys: Mapping[str, str], epoch_s: float | None = None
) -> str:
    """Runs ``calls/<vendor>.py URL ACTION IMAGE`` by the Python that has the SDKs; gives what it printed.

    The script finds ``keys`` as a JSON object in SDK_KEYS, and in SDK_CLOCK the seconds of the epoch at which its clock
    stands, empty for the true time. Raises AssertionError with its output when it fails.
    """
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(image.parent),  # no credentials of whoever runs the tests
        "PYTHONDONTWRITEBYTECODE": "1",
        "SDK_KEYS": json.dumps(dict(keys)),
        "SDK_CLOCK": "" if epoch_s is None else str(epoch_s),
    }
    process = await asyncio.create_subprocess_exec(
        SDK_PYTHON, ROOT / "tests/sdk/calls" / f"{vendor}.py", url, action, image,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment, cwd=ROOT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(_PATIENCE_S):
            printed, complaints = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, complaints.decode(errors="replace")[-2000:]
    return printed.decode()
