"""What may import what, as import_contracts.toml says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("rpc_runtime", "ocr_gateway", "preprocess_service", "clients/python/ocrmux_client")
CONTRACTS = ROOT / "tests" / "architecture" / "import_contracts.toml"


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs the contracts over the packages in ``folder``, its client in ``clients/python``."""
    path = os.pathsep.join([str(folder), str(folder / "clients" / "python")])
    return subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache", "--config", str(CONTRACTS)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "NO_COLOR": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_every_import_contract_is_kept() -> None:
    """No module imports what its layer may not import, and every module has a layer."""
    outcome = lint_imports(ROOT)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("ocr_gateway/image_header.py", "import cv2", "OpenCV only where pages are decoded and changed"),
        ("ocr_gateway/errors.py", "import grpc", "gRPC only from the servicers upwards"),
        ("ocr_gateway/model.py", "import ocr_gateway.errors", "The gateway's layers"),
        ("ocr_gateway/unheard_of.py", "import os", "The gateway's layers"),
        ("preprocess_service/model.py", "import ocr_gateway.model", "The services and the client are joined"),
        ("preprocess_service/errors.py", "import aiohttp", "aiohttp only in the providers"),
        ("ocr_gateway/model.py", "import redis.asyncio", "Redis only in its link"),
        ("rpc_runtime/faults.py", "from ocrmux.ocr.v1 import image_pb2", "The runtime knows nothing of OCR"),
        ("rpc_runtime/faults.py", "import rpc_runtime.item_stream", "No cycles"),
    ],
)
def test_a_forbidden_import_breaks_its_contract(tmp_path: Path, module: str, line: str, contract: str) -> None:
    """The contracts notice what they forbid."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / module).open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    outcome = lint_imports(tmp_path)
    assert outcome.returncode == 1
    broken = [text for text in outcome.stdout.splitlines() if " BROKEN" in text]
    assert any(text.startswith(contract) for text in broken), outcome.stdout
