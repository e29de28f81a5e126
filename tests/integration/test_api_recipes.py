"""The commands of docs/api.md, "By hand", taken out of the document and run against both services."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message

from ocrmux.gateway.v1 import gateway_pb2
from ocrmux.ocr.v1 import recognition_pb2
from ocrmux.preprocess.v1 import preprocess_pb2
from ocrmux_client.pair import ServicePair
from tests.fakes.languages import ROOT, go_tool

T = TypeVar("T", bound=Message)

PAGE = ROOT / "docs" / "api.md"
RECIPE_TIMEOUT_S = 120
PORTS = {"localhost:50051": "preprocess_target", "localhost:50052": "gateway_target"}
TITLES = (
    "which services there are, and what one of them takes",
    "whether a service serves",
    "which providers and routes there are",
    "one file",
    "many files on one stream",
    "an error: bytes that are no image",
    "the same with buf",
)

pytestmark = pytest.mark.timeout(900)  # the first build of grpcurl


def recipes() -> dict[str, str]:
    """Each fenced block of the section, by the comment on its first line."""
    section = PAGE.read_text(encoding="utf-8").partition("\n## By hand\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^```sh\n# (.+)\n((?:.*\n)*?)```$", section, re.MULTILINE))


class Recipes:
    """Runs the recipes in a folder of their own, with the tools that are pinned here."""

    def __init__(self, pair: ServicePair, folder: Path, tools: Path) -> None:
        self._pair = pair
        self._folder = folder
        self._path = os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]])

    def run(self, title: str, status: int = 0) -> str:
        """What the recipe prints to standard output; ``status`` is how its last command is to end."""
        script = recipes()[title]
        for port, target in PORTS.items():
            script = script.replace(port, getattr(self._pair, target))
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self._folder,
            env={**os.environ, "PATH": self._path},
            capture_output=True,
            text=True,
            timeout=RECIPE_TIMEOUT_S,
            check=False,
        )
        assert ran.returncode == status, ran.stdout + ran.stderr
        return ran.stdout if status == 0 else ran.stderr


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recipes]:
    """Both services with their embedded defaults, and what the recipes need."""
    tools = go_tool("grpcurl").parent
    folder = tmp_path_factory.mktemp("by-hand")
    (folder / "samples").symlink_to(ROOT / "samples")
    (folder / "build").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GATEWAY_CACHE__DIR", str(folder / "cache"))
        with ServicePair() as pair:
            yield Recipes(pair, folder, tools)


def documents(printed: str) -> list[Any]:
    """The JSON documents that stand one after the other."""
    decoder, found = json.JSONDecoder(), []
    while printed := printed.lstrip():
        document, end = decoder.raw_decode(printed)
        found.append(document)
        printed = printed[end:]
    return found


def messages(printed: str, kind: type[T]) -> list[T]:
    """The same as messages; an unknown field is an error."""
    return [ParseDict(document, kind()) for document in documents(printed)]


def first_line(sample: str) -> str:
    return (ROOT / "samples" / sample).read_text(encoding="utf-8").splitlines()[0]


def check_stream(printed: str) -> None:
    """The limits, then both files in their order, each with its text."""
    limits, *answers = messages(printed, preprocess_pb2.StreamRecognizeResponse)
    assert limits.limits.max_items_in_flight > 0
    assert [each.answer.request_id for each in answers] == ["samples/letter.png", "samples/receipt.jpg"]
    for each, sample in zip(answers, ("letter.txt", "receipt.txt"), strict=True):
        assert each.answer.last_page
        assert first_line(sample) in each.answer.document.pages[0].text


def test_every_recipe_is_run() -> None:
    """The document has the recipes that are tested here, and no others."""
    assert tuple(recipes()) == TITLES
    assert PAGE.read_text(encoding="utf-8").count("```sh\n") == len(TITLES)


def test_schemas_come_by_reflection(run: Recipes) -> None:
    """The services are listed, and a service and a message told, with no proto at hand."""
    printed = run.run(TITLES[0])
    listed = printed.splitlines()
    assert {"grpc.health.v1.Health", "ocrmux.preprocess.v1.PreprocessService"} <= set(listed)
    assert "rpc StreamRecognize ( stream .ocrmux.gateway.v1.StreamRecognizeRequest )" in printed
    assert "repeated .ocrmux.ocr.v1.Feature features = 1;" in printed


def test_health_is_told(run: Recipes) -> None:
    """A service that serves says so."""
    assert documents(run.run(TITLES[1])) == [{"status": "SERVING"}]


def test_providers_are_listed(run: Recipes) -> None:
    """The embedded reader serves or is about to, and text has a route."""
    [listed] = messages(run.run(TITLES[2]), gateway_pb2.ListProvidersResponse)
    states = {provider.name: provider.state for provider in listed.providers}
    assert states["rapidocr"] in {gateway_pb2.PROVIDER_STATE_STARTING, gateway_pb2.PROVIDER_STATE_SERVING}
    assert recognition_pb2.FEATURE_TEXT in {route.feature for route in listed.routes}


def test_one_file_is_read(run: Recipes) -> None:
    """A file in base64 comes back as text."""
    [read] = messages(run.run(TITLES[3]), preprocess_pb2.RecognizeResponse)
    [answer] = read.answers
    assert answer.last_page
    assert first_line("letter.txt") in answer.document.pages[0].text


def test_many_files_are_read_on_one_stream(run: Recipes) -> None:
    """The same stream by both tools: buf sends the requests that the recipe for grpcurl wrote."""
    check_stream(run.run(TITLES[4]))
    methods, _, rest = run.run(TITLES[6]).partition("{")
    assert "ocrmux.preprocess.v1.PreprocessService/StreamNormalize" in methods.splitlines()
    health, _, answers = rest.partition("}")
    assert json.loads(f"{{{health}}}") == {"status": "SERVING"}
    check_stream(answers)


def test_an_error_has_its_details(run: Recipes) -> None:
    """The exit status is 64 and INVALID_ARGUMENT; reason and field stand in the details."""
    [error] = documents(run.run(TITLES[5], status=64 + 3))
    details = {detail["@type"].rpartition(".")[2]: detail for detail in error["details"]}
    assert details["ErrorInfo"]["reason"] == "IMAGE_UNDECODABLE"
    assert details["ErrorInfo"]["domain"] == "ocrmux"
    assert "BadRequest" in details
