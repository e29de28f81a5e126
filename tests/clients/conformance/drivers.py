"""The drivers: each language's client behind one command line. One table says how each is started."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fakes.languages import require_toolchain

ROOT = Path(__file__).resolve().parents[3]
_CLIENTS = ROOT / "clients"


@dataclass(frozen=True, slots=True)
class Driver:
    """One driver. ``built`` is what its build leaves: without it there is none; ``build`` is how to get it."""

    name: str
    language: str
    command: tuple[str, ...]
    built: Path
    build: str

    def require(self) -> None:
        """Skips the test where the toolchain is absent or the driver is not built; where CI is set, fails it."""
        if self.language != "python":
            require_toolchain(self.language)
        if not self.built.exists():
            reason = f"the {self.name} driver is not built: {self.build}"
            if os.environ.get("CI"):
                pytest.fail(f"{reason}, and CI is set")
            pytest.skip(reason)


def _java() -> str:
    home = os.environ.get("JAVA_HOME")
    return str(Path(home) / "bin" / "java") if home else shutil.which("java") or "java"


_PYTHON = _CLIENTS / "python" / "conformance" / "driver.py"
_GO = ROOT / "build" / "clients" / "go" / "conformance"
_JAVA = _CLIENTS / "java" / "conformance" / "target" / "conformance.jar"
_NODE = _CLIENTS / "node" / "dist-conformance" / "driver.js"

# A heap of 96 MiB is collected often enough to show what is held, and one compiler starts sooner than two.
_JVM = ("-Xmx96m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")

DRIVERS = (
    Driver("python", "python", (sys.executable, str(_PYTHON)), _PYTHON, "it is missing"),
    Driver("python-sync", "python", (sys.executable, str(_PYTHON), "--sync"), _PYTHON, "it is missing"),
    Driver("go", "go", (str(_GO),), _GO, "make clients"),
    Driver("java", "java", (_java(), *_JVM, "-jar", str(_JAVA)), _JAVA, "make clients"),
    Driver("node", "node", ("node", str(_NODE)), _NODE, "make clients"),
)
