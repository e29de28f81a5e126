"""The distribution that callers install: the client without the services and without the command line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[3]
CLIENT = ROOT / "clients" / "python"
OTHERS = [
    *("numpy", "cv2", "PIL", "rich", "typer", "click", "aiohttp", "redis", "pydantic", "structlog", "onnxruntime"),
    *("grpc_health", "grpc_reflection", "grpc_status"),
]
_IMPORT = """
import importlib.abc, sys
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in %r:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
import ocrmux_client
print(ocrmux_client.__file__)
print(*sorted(name for name in sys.modules if name.startswith("ocrmux_client")))
with ocrmux_client.OcrMux("127.0.0.1:1"):
    pass
"""


def project(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=CLIENT, check=True, capture_output=True, timeout=120)
    [built] = folder.glob("ocrmux_client-*.whl")
    unpacked = folder / "unpacked"
    with zipfile.ZipFile(built) as archive:
        archive.extractall(unpacked)
    return unpacked


def test_it_has_what_it_needs_and_nothing_else(wheel: Path) -> None:
    """With gRPC and protobuf alone it is imported from the wheel, and every module in it is one that is loaded."""
    outcome = subprocess.run(
        [sys.executable, "-P", "-c", _IMPORT % OTHERS],
        env={**os.environ, "PYTHONPATH": str(wheel)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert outcome.returncode == 0, outcome.stderr
    file, loaded = outcome.stdout.splitlines()
    assert Path(file).is_relative_to(wheel)
    modules = {f"ocrmux_client.{path.stem}" for path in (wheel / "ocrmux_client").rglob("*.py")}
    assert set(loaded.split()) == (modules - {"ocrmux_client.__init__"}) | {"ocrmux_client"}


def test_it_has_all_stubs_and_says_that_it_is_typed(wheel: Path) -> None:
    """The stubs of the wheel are those of the repository, with their types."""
    for package in ("ocrmux", "ocrmux_client"):
        assert (wheel / package / "py.typed").is_file()
    own = {path.relative_to(CLIENT) for path in (CLIENT / "ocrmux").rglob("*.py*") if path.suffix in {".py", ".pyi"}}
    assert {path.relative_to(wheel) for path in (wheel / "ocrmux").rglob("*.py*")} - {Path("ocrmux/py.typed")} == own


def test_it_asks_for_no_older_runtimes_than_its_stubs_do() -> None:
    """protobuf and gRPC refuse stubs that are newer than themselves."""
    wanted = {(given := Requirement(text)).name: given for text in project(CLIENT)["project"]["dependencies"]}
    stub = (CLIENT / "ocrmux/preprocess/v1/preprocess_pb2.py").read_text(encoding="utf-8")
    made_by = re.search(r"Domain\.PUBLIC,\s+(\d+),\s+(\d+),\s+(\d+)", stub)
    assert made_by is not None
    assert str(wanted["protobuf"].specifier) == f">={'.'.join(made_by.groups())}"
    service = (CLIENT / "ocrmux/preprocess/v1/preprocess_pb2_grpc.py").read_text(encoding="utf-8")
    generated = re.search(r"GRPC_GENERATED_VERSION = '([\d.]+)'", service)
    assert generated is not None
    assert str(wanted["grpcio"].specifier) == f">={generated[1]}"


def test_it_has_the_version_of_the_whole() -> None:
    """Services and client are released together."""
    assert project(CLIENT)["project"]["version"] == project(ROOT)["project"]["version"]
