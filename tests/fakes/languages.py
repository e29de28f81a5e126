"""The languages whose clients are built by tests, where their toolchains are there."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from scripts import toolchains

ROOT = Path(__file__).resolve().parent.parent.parent
MAKE_TIMEOUT_S = 500


def require_toolchain(language: str) -> None:
    """Skips the test where ``go``, ``node`` or ``java`` cannot be built; where CI is set, fails it."""
    if reason := toolchains.missing(language):
        if toolchains.strict():
            pytest.fail(f"{reason}, and CI is set")
        pytest.skip(reason)


def go_tool(name: str) -> Path:
    """The program of a tool that tools/go/go.mod pins; where it is not built yet that is done, in a minute or two.

    Without Go the test is skipped, and where CI is set it fails.
    """
    require_toolchain("go")
    made(f"build/tools/{name}")
    return ROOT / "build" / "tools" / name


def made(target: str) -> None:
    """Brings a target of the Makefile up to date; fails the test with what make printed where it cannot."""
    environment = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    making = subprocess.run(
        ["make", "--silent", target],
        cwd=ROOT,
        env=environment,
        timeout=MAKE_TIMEOUT_S,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if making.returncode:
        pytest.fail(f"make {target}:\n{making.stdout}")
