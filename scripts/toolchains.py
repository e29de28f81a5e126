"""Tells whether what builds a client is there: ``toolchains.py go``, or node, or java, exits 0, or 1 with the reason.

Where a toolchain is missing, checks and tests leave its language out and say so in one line; where CI is set they fail.
Needs nothing but Python, so it works before ``.venv`` is made.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

# The oldest that will do: of Go what tools/go/go.mod says, of the others what is still maintained.
GO = (1, 26)
NODE = (20, 0)
JDK = (17, 0)
MAVEN = (3, 8)
ASKING_TIMEOUT_S = 60


@functools.cache
def missing(language: str) -> str | None:
    """Why there is no toolchain for ``go``, ``node`` or ``java``, in one line; None when there is one.

    Raises KeyError for any other language.
    """
    return _CHECKS[language]()


def strict() -> bool:
    """Whether a missing toolchain is a failure: in CI all languages are checked."""
    return bool(os.environ.get("CI"))


def _go() -> str | None:
    return _older("Go", GO, _said("go", "version"), r"go(\d+)\.(\d+)")


def _node() -> str | None:
    if lacking := _older("Node", NODE, _said("node", "--version"), r"v(\d+)\.(\d+)"):
        return lacking
    return None if shutil.which("npm") else "npm is not installed"


def _java() -> str | None:
    said = _said("mvn", "--version")  # tells the JDK that Maven will use, which need not be the one on the path
    if lacking := _older("Maven", MAVEN, said, r"Apache Maven (\d+)\.(\d+)"):
        return lacking
    if lacking := _older("a JDK", JDK, said, r"Java version: (\d+)(?:\.(\d+))?"):
        return lacking
    home = re.search(r"runtime: (.+)", said)
    if home and not (Path(home[1].strip()) / "bin" / "javac").exists():
        return "the Java that Maven runs on has no compiler; a JDK is needed"
    return None


_CHECKS: dict[str, Callable[[], str | None]] = {"go": _go, "node": _node, "java": _java}


def _said(*command: str) -> str:
    """What a program says of its version; empty when it is not there or does not work."""
    if shutil.which(command[0]) is None:
        return ""
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=ASKING_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return asked.stdout if asked.returncode == 0 else ""


def _older(name: str, oldest: tuple[int, int], said: str, pattern: str) -> str | None:
    wanted = f"{name} {oldest[0]}.{oldest[1]}".removesuffix(".0") + " or newer"
    found = re.search(pattern, said)
    if found is None:
        return f"{wanted} is not installed"
    version = int(found[1]), int(found[2] or 0)
    return None if version >= oldest else f"{wanted} is needed, {version[0]}.{version[1]} is installed"


def main(arguments: list[str]) -> int:
    """Exit status: 0 when the toolchain is there, 1 with the reason when it is not, 2 on bad usage."""
    if len(arguments) != 1 or arguments[0] not in _CHECKS:
        sys.stderr.write(f"usage: toolchains.py {' | '.join(_CHECKS)}\n")
        return 2
    if reason := missing(arguments[0]):
        sys.stderr.write(f"{reason}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
