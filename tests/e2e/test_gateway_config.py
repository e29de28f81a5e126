"""``python -m ocr_gateway`` with a file of settings: checking it, and running by it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import grpc
import pytest

from ocrmux.gateway.v1 import gateway_pb2
from ocrmux.gateway.v1.gateway_pb2_grpc import OcrGatewayServiceStub
from tests.fakes.processes import service

ROOT = Path(__file__).resolve().parents[2]
SECRET = "Tr0ubadour3"
OURS = re.compile(r"GATEWAY_|BAIDU_")


async def gateway(*arguments: str, **env: str) -> tuple[int | None, str, str]:
    """Exit status, standard output and standard error of the command, without settings of whoever runs the tests."""
    environment = {name: value for name, value in os.environ.items() if not OURS.match(name)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ocr_gateway", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**environment, **env},
    )
    async with asyncio.timeout(60):
        said, complained = await process.communicate()
    return process.returncode, said.decode(), complained.decode()


@pytest.mark.parametrize("by_variable", [False, True])
async def test_the_example_is_right(by_variable: bool) -> None:
    """The file that is shipped as an example passes the check, named either way; nothing is started."""
    example = str(ROOT / "deploy" / "gateway.example.yaml")
    env = {"BAIDU_API_KEY": SECRET, "GATEWAY_REDIS__URL": f"redis://:{SECRET}@nowhere:6379/0", "GATEWAY_CACHE_DIR": "x"}
    env |= {"GATEWAY_CONFIG_FILE": example} if by_variable else {}
    arguments = ["--check-config"] if by_variable else ["--check-config", "--config", example]
    status, said, complained = await gateway(*arguments, **env)
    assert (status, complained) == (0, "ocr_gateway: GATEWAY_CACHE_DIR is no setting and changes nothing\n")
    assert SECRET not in said
    assert "not configured: the environment variable BAIDU_SECRET_KEY is not set" in said
    assert "redis://nowhere:6379/0, with a password" in said
    assert "text: rapidocr, baidu (3), baidu-2 (1); escalates below 0.85" in said


async def test_the_demo_is_right() -> None:
    """The file that docker compose mounts passes the check with the variables that docker compose sets."""
    env = {"BAIDU_API_KEY": "x", "BAIDU_SECRET_KEY": "y", "GATEWAY_REDIS__URL": "redis://redis:6379/1"}
    status, said, complained = await gateway(
        "--check-config", "--config", str(ROOT / "deploy/demo/gateway.yaml"), **env
    )
    assert (status, complained) == (0, "")
    assert "baidu; configured; http://baidu-standin:8090" in said
    assert "text: baidu" in said


@pytest.mark.parametrize("check", [["--check-config"], []])
async def test_a_wrong_file_is_told_line_by_line(tmp_path: Path, check: list[str]) -> None:
    """By the check and at the start alike: each fault with its key, exit status 2, no trace and no secret."""
    file = tmp_path / "gateway.yaml"
    file.write_text(
        "cache: {ttl: 5}\n"
        f"providers: {{baidu: {{credentials: {{api_key: {SECRET}}}}}}}\n"
        "routes: {main: {providers: [rapidocr], feature: pictures}}\n"
    )
    status, said, complained = await gateway(*check, "--config", str(file))
    assert (status, said) == (2, "")
    assert complained.splitlines() == [
        f"ocr_gateway: setting cache.ttl ({file}, line 1): no such key; did you mean ttl_s?",
        (
            f"ocr_gateway: setting providers.baidu.credentials.api_key ({file}, line 2): a secret does not stand here: "
            "write {env: NAME} or {file: PATH}, which say where it is"
        ),
        f"ocr_gateway: setting routes.main.feature ({file}, line 3): it should be 'text', 'table' or 'id'",
    ]


async def test_help_says_how_settings_are_given() -> None:
    """--help names both ways, and the exit statuses."""
    status, said, _ = await gateway("--help")
    assert status == 0
    for words in ("--config FILE", "--check-config", "GATEWAY_CONFIG_FILE", "GATEWAY_CACHE__DIR", "Exit status"):
        assert words in " ".join(said.split())


async def test_the_preprocess_service_says_how_it_is_set_too() -> None:
    """--help is answered and starts nothing; an argument that does not exist is bad usage."""
    for argument, status, words in (("--help", 0, "PREPROCESS_GATEWAY_TARGET"), ("--port", 2, "unrecognized")):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "preprocess_service", argument, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        said, _ = await asyncio.wait_for(process.communicate(), 20)
        assert (process.returncode, words in said.decode()) == (status, True)


async def test_a_gateway_runs_by_its_file(tmp_path: Path) -> None:
    """Providers and routes are those of the file, and the environment goes before it."""
    file = tmp_path / "gateway.yaml"
    file.write_text(
        "cache: {dir: ''}\n"
        "providers: {rapidocr: {workers: 0}, tesseract: {enabled: false}}\n"
        "routes: {invoices: {feature: table, providers: [baidu]}}\n"
        "listen: 127.0.0.1:1\n"
    )
    async with (
        service("ocr_gateway", "GATEWAY_", tmp_path, config_file=str(file)) as running,
        grpc.aio.insecure_channel(running.address) as channel,
    ):
        stub = OcrGatewayServiceStub(channel)
        listed = await stub.ListProviders(gateway_pb2.ListProvidersRequest(), timeout=20)
    assert [provider.name for provider in listed.providers] == ["baidu"]
    assert [(route.name, list(route.providers)) for route in listed.routes] == [
        ("invoices", ["baidu"]),
        ("default", ["baidu"]),
        ("default-id", ["baidu"]),
    ]


async def test_a_gateway_tells_its_metrics(tmp_path: Path) -> None:
    """By HTTP where metrics_listen says; a second gateway on that address does not start and says why."""
    off = {"providers__rapidocr__workers": "0", "providers__tesseract__workers": "0", "cache__dir": ""}
    async with service("ocr_gateway", "GATEWAY_", tmp_path, metrics_listen="127.0.0.1:0", **off) as running:
        events = [json.loads(line) for line in running.log.read_text().splitlines()]
        (address,) = [event["address"] for event in events if event["event"] == "metrics.serving"]
        text = await asyncio.to_thread(scraped, address)
        status, _, complained = await gateway(
            GATEWAY_METRICS_LISTEN=address, GATEWAY_LISTEN="127.0.0.1:0", GATEWAY_CACHE__DIR=""
        )
    assert 'ocrmux_lane_depth{feature="text",provider="baidu"} 0.0' in text.splitlines()
    assert status == 2
    assert f"cannot listen on {address} for metrics" in complained
    assert "Traceback" not in complained


def scraped(address: str) -> str:
    """What /metrics answers."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        return str(answer.read(), "utf-8")
