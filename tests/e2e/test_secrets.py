"""No secret is told: a gateway with every provider's keys planted, before services that say them back to it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import sys
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import grpc
import pytest
from aiohttp import web

from ocr_gateway.config_check import load_settings, summary
from ocr_gateway.providers.catalogue import REMOTE_KINDS
from ocrmux.gateway.v1 import gateway_pb2
from ocrmux.gateway.v1.gateway_pb2_grpc import OcrGatewayServiceStub
from ocrmux.ocr.v1 import recognition_pb2
from tests.contracts.remote_cases import CASES
from tests.fakes.gateway_calls import request_for
from tests.fakes.images import encoded, photo
from tests.fakes.processes import service

IMAGE = encoded(photo(400, 300), "PNG")
FEATURES = {
    "text": recognition_pb2.FEATURE_TEXT,
    "table": recognition_pb2.FEATURE_TABLE,
    "id": recognition_pb2.FEATURE_ID_DOCUMENT,
}
MOODS = ("codes", "status 500", "malformed", "cut", "status 400", "status 401")
"""Those after which a provider is not asked again for a while come last."""
_DULL = ("Host", "Accept", "Accept-Encoding", "User-Agent", "Content-Length", "Content-Type")
_TOKEN = "tok3n-that-was-granted-0123456789"


def planted(kind: str, key: str) -> str:
    """A secret of a certain shape, unlike any other."""
    return f"Tr0ubadour3-{kind}-{key}/+=4711"


SECRETS = {case.kind: {key: planted(case.kind, key) for key in case.keys} for case in CASES}


class Parrot:
    """A service that says all that it is sent back to its caller, in errors of the moods that services have."""

    def __init__(self, *, grants: bool) -> None:
        self.mood = "codes"
        self.grants = grants
        self.requests = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        body = await request.read()
        headers = {name: value for name, value in request.headers.items() if name not in _DULL}
        words = f"{headers} {request.rel_url} {request.query_string} {dict(request.query)} {body[:300]!r}"
        if self.grants and "token" in request.path:
            return web.json_response({"access_token": _TOKEN, "expires_in": 3600, "token_type": "Bearer"})
        match self.mood:
            case "malformed":
                return web.Response(text=f"<html>{words}</html>", content_type="text/html")
            case "cut":
                return web.Response(text=json.dumps({"error": words})[:-1], content_type="application/json")
            case mood if mood.startswith("status"):
                return web.Response(status=int(mood.rpartition(" ")[2]), text=words)
        # One object in which every vendor finds its own error: message and code are the keys.
        said: dict[str, Any] = {
            "error": {"code": words, "message": words, "status": words},
            "error_code": words,
            "error_msg": words,
            "errorCode": words,
            "errorMsg": words,
            "Code": words,
            "Message": words,
            "message": words,
            "__type": words,
            "Response": {"Error": {"Code": words, "Message": words}, "RequestId": words},
            "status": words,
        }
        return web.json_response(said, status=200 if self.requests % 2 else 400, headers={"Retry-After": words[:50]})


@asynccontextmanager
async def parrot(*, grants: bool) -> AsyncIterator[tuple[Parrot, str]]:
    """``grants``: it gives tokens to those who ask for one."""
    bird = Parrot(grants=grants)
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{tail:.*}", bird.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield bird, f"http://{host}:{port}"
    finally:
        await runner.cleanup()


def config_of(url: str) -> dict[str, Any]:
    """Every provider, its keys in variables, so that it fails at once rather than again and again."""
    providers: dict[str, Any] = {"rapidocr": {"workers": 0}, "tesseract": {"enabled": False}}
    for case in CASES:
        credentials = {name: {"env": case.variable(name)} for name in case.keys}
        section = {"kind": case.kind, "endpoint": url, **case.settings}
        providers[case.kind] = {**section, "credentials": credentials} if credentials else section
    return {
        "cache": {"dir": ""},
        "retry": {"max_attempts": 1},
        "circuit": {"min_calls": 10_000, "window": 10_000},
        "providers": providers,
    }


def variables() -> dict[str, str]:
    return {case.variable(key): value for case in CASES for key, value in SECRETS[case.kind].items()}


def leaks(text: str) -> list[str]:
    """The secrets that stand in a text, as they are or as they are encoded on the way."""
    values = [value for keys in SECRETS.values() for value in keys.values()] + [_TOKEN]
    forms = [(value, form) for value in values for form in (value, quote(value, safe=""), _base64(value))]
    return [value for value, form in forms if form in text]


def _base64(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


@pytest.mark.parametrize("grants", [False, True])
async def test_no_secret_is_told(grants: bool, tmp_path: Path) -> None:
    """Not in a log line, an error, a metric, ListProviders or the configuration's summary, whatever services say."""
    async with parrot(grants=grants) as (bird, url):
        file = tmp_path / "gateway.yaml"
        file.write_text(json.dumps(config_of(url)))
        told: list[str] = [await check_config(file)]
        running = service(
            "ocr_gateway", "GATEWAY_", tmp_path, config_file=str(file), metrics_listen="127.0.0.1:0", **variables()
        )
        async with running as gateway, grpc.aio.insecure_channel(gateway.address) as channel:
            stub = OcrGatewayServiceStub(channel)
            for mood in MOODS:
                bird.mood = mood
                told += [await failure(stub, case.kind, feature.value) for case in CASES for feature in case.features]
                told.append(str(await stub.ListProviders(gateway_pb2.ListProvidersRequest(), timeout=20)))
            log = gateway.log.read_text()
            (address,) = re.findall(
                r'"address": ?"([^"]+)"[^\n]*"metrics.serving"|"metrics.serving"[^\n]*"address": ?"([^"]+)"', log
            )
            told += [log, await asyncio.to_thread(scraped, "".join(address))]
    assert bird.requests > (len(MOODS) - 1) * len(CASES)
    assert all(kind in "\n".join(told) for kind in REMOTE_KINDS)
    assert [leaks(text) for text in told] == [[]] * len(told)


async def check_config(file: Path) -> str:
    """What ``--check-config`` prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GATEWAY_", "BAIDU_"))}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ocr_gateway", "--check-config", "--config", str(file)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**environment, **variables()},
    )
    async with asyncio.timeout(60):
        said, _ = await process.communicate()
    assert process.returncode == 0, said
    return said.decode()


async def failure(stub: Any, provider: str, feature: str) -> str:
    """Everything that the call is told when it fails, which it must."""
    request = request_for(IMAGE, provider=provider, features=[FEATURES[feature]])
    try:
        answer = await stub.Recognize(request, timeout=30)
    except grpc.aio.AioRpcError as error:
        return f"{provider} {error!r} {error.details()} {error.trailing_metadata()}"
    raise AssertionError(f"{provider} made something of it: {answer}")


def scraped(address: str) -> str:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        return str(answer.read(), "utf-8")


def test_no_repr_tells_a_secret(tmp_path: Path, monkeypatch: Any) -> None:
    """Of settings, providers and their parts, as a debugger or a trace would show them."""
    for name, value in variables().items():
        monkeypatch.setenv(name, value)
    file = tmp_path / "gateway.yaml"
    file.write_text(json.dumps(config_of("http://127.0.0.1:9")))
    settings = load_settings(file)
    shown = [repr(settings), str(settings), settings.model_dump_json(), str(settings.model_dump()), *summary(settings)]
    for name, section in settings.providers_in_use.items():
        if section.kind not in REMOTE_KINDS:
            continue
        provider = REMOTE_KINDS[section.kind].build(name, section)
        shown += [repr(provider), repr(provider.description), repr(provider.status), repr(section)]
        dialect = getattr(provider, "dialect", None)
        shown += [repr(dialect), dialect.model if dialect else ""]
    assert [leaks(text) for text in shown] == [[]] * len(shown)
