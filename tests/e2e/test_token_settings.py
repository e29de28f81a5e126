"""A gateway with tokens as a process: its log, its check of the settings, its refusal to start."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import grpc
import pytest

from ocrmux.gateway.v1 import gateway_pb2
from ocrmux.gateway.v1.gateway_pb2_grpc import OcrGatewayServiceStub
from tests.fakes.caller_tokens import SHOP, UNKNOWN, bearer, digest_of, tokens_file
from tests.fakes.processes import service

NO_ENGINES = {"providers__rapidocr__workers": "0", "providers__tesseract__enabled": "false", "cache__dir": ""}


async def run(module: str, *arguments: str, **env: str) -> tuple[int | None, str, str]:
    """Exit status, standard output and standard error."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **env},
    )
    async with asyncio.timeout(60):
        said, complained = await process.communicate()
    return process.returncode, said.decode(), complained.decode()


async def test_the_log_has_the_callers_name_and_no_token(tmp_path: Path) -> None:
    """At its most talkative, for calls that are let in and for those that are not."""
    tokens = str(tokens_file(tmp_path, shop=SHOP))
    async with (
        service(
            "ocr_gateway", "GATEWAY_", tmp_path, tokens_file=tokens, log_level="debug", log_format="json", **NO_ENGINES
        ) as gateway,
        grpc.aio.insecure_channel(gateway.address) as channel,
    ):
        stub = OcrGatewayServiceStub(channel)
        request = gateway_pb2.ListProvidersRequest()
        await stub.ListProviders(request, metadata=bearer(SHOP), timeout=20)
        for metadata in ((), bearer(UNKNOWN), (*bearer(SHOP), *bearer(UNKNOWN))):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.ListProviders(request, metadata=metadata, timeout=20)
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    log = gateway.log.read_text()
    calls = [line for line in map(json.loads, log.splitlines()) if line["event"] == "rpc.call"]
    assert [(line["caller"], line["code"]) for line in calls] == [("shop", "OK"), *[("", "UNAUTHENTICATED")] * 3]
    assert SHOP not in log
    assert UNKNOWN not in log
    assert digest_of(SHOP) not in log


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "127.0.0.1:0"])
async def test_an_open_gateway_is_warned_of(tmp_path: Path, listen: str) -> None:
    """In the log at the start, where others can reach it."""
    async with service("ocr_gateway", "GATEWAY_", tmp_path, listen=listen, log_format="json", **NO_ENGINES) as gateway:
        pass
    events = [json.loads(line)["event"] for line in gateway.log.read_text().splitlines()]
    assert ("server.open_to_anybody" in events) is listen.startswith("0.0.0.0")


async def test_the_check_tells_who_is_served(tmp_path: Path) -> None:
    """`--check-config` names the file, and nothing that stands in it."""
    tokens = tokens_file(tmp_path, shop=SHOP)
    status, said, complained = await run("ocr_gateway", "--check-config", GATEWAY_TOKENS_FILE=str(tokens))
    assert (status, complained) == (0, "")
    assert f"callers  those with a token of {tokens}\n" in said
    assert digest_of(SHOP) not in said
    status, said, _ = await run("ocr_gateway", "--check-config")
    assert "callers  anybody\n" in said


@pytest.mark.parametrize(
    ("module", "prefix", "arguments"),
    [
        ("ocr_gateway", "GATEWAY_", ["--check-config"]),
        ("ocr_gateway", "GATEWAY_", []),
        ("preprocess_service", "PREPROCESS_", []),
    ],
)
async def test_a_wrong_file_of_tokens_is_a_fault_of_the_settings(
    tmp_path: Path, module: str, prefix: str, arguments: list[str]
) -> None:
    """A line with the key and its place, exit status 2, no trace, and what was taken for a digest is not repeated."""
    path = tmp_path / "tokens.yaml"
    path.write_text(f"keys:\n  - name: shop\n    sha256: {SHOP}\n")
    env = {f"{prefix}TOKENS_FILE": str(path), f"{prefix}LISTEN": "127.0.0.1:0"}
    status, said, complained = await run(module, *arguments, **env)
    assert (status, said) == (2, "")
    assert complained == (
        f"{module}: setting tokens_file: keys.0.sha256 ({path}, line 3): 64 hexadecimal digits are expected, "
        "the SHA-256 of the token: never the token itself\n"
    )
