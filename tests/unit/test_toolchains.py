"""What is said of toolchains that are there, too old, or not there."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts import toolchains
from tests.fakes.languages import ROOT

Install = Callable[[str, str], None]
MAVEN = "Apache Maven 3.9.9 (hash)\nJava version: {version}, vendor: Debian, runtime: {home}\n"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts a program that prints something on an otherwise empty path."""

    def put(name: str, printed: str) -> None:
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho '{printed}'\n")
        program.chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path))
    toolchains.missing.cache_clear()
    yield put
    toolchains.missing.cache_clear()


@pytest.mark.parametrize("language", ["go", "node", "java"])
def test_nothing_is_installed(install: Install, language: str) -> None:
    """Without any program the reason names what is needed."""
    reason = toolchains.missing(language)
    assert reason is not None
    assert re.fullmatch(r"(Go|Node|Maven) [\d.]+ or newer is not installed", reason)


@pytest.mark.parametrize(
    ("printed", "reason"),
    [
        ("go version go1.26.8 linux/amd64", None),
        ("go version go1.30 linux/arm64", None),
        ("go version devel go1.27-abcdef linux/amd64", None),
        ("go version go2.0 linux/amd64", None),
        ("go version go1.9.7 linux/amd64", "Go 1.26 or newer is needed, 1.9 is installed"),
        ("something else", "Go 1.26 or newer is not installed"),
    ],
)
def test_versions_of_go(install: Install, printed: str, reason: str | None) -> None:
    """Versions are compared as numbers."""
    install("go", printed)
    assert toolchains.missing("go") == reason


def test_node_comes_with_npm(install: Install) -> None:
    """Node alone does not do, nor an old one."""
    install("node", "v18.19.0")
    assert toolchains.missing("node") == "Node 20 or newer is needed, 18.19 is installed"
    install("node", "v20.20.2")
    toolchains.missing.cache_clear()
    assert toolchains.missing("node") == "npm is not installed"
    install("npm", "10.8.2")
    toolchains.missing.cache_clear()
    assert toolchains.missing("node") is None


def test_maven_tells_its_jdk(install: Install, tmp_path: Path) -> None:
    """The JDK is the one that Maven runs on; it must be new enough and have a compiler."""
    install("mvn", MAVEN.format(version="11.0.2", home=tmp_path))
    assert toolchains.missing("java") == "a JDK 17 or newer is needed, 11.0 is installed"
    install("mvn", MAVEN.format(version="17.0.15", home=tmp_path))
    toolchains.missing.cache_clear()
    assert toolchains.missing("java") == "the Java that Maven runs on has no compiler; a JDK is needed"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "javac").touch()
    toolchains.missing.cache_clear()
    assert toolchains.missing("java") is None


def test_a_program_that_fails_is_none(install: Install) -> None:
    """A shim that ends with an error counts as not installed."""
    install("go", "go version go1.26.8'; exit 3; echo '")
    assert toolchains.missing("go") == "Go 1.26 or newer is not installed"


def test_the_command_line(install: Install) -> None:
    """The exit status says whether it is there; the reason is one line."""
    command = [sys.executable, "scripts/toolchains.py", "go"]
    asked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (asked.returncode, asked.stdout, asked.stderr) == (1, "", "Go 1.26 or newer is not installed\n")
    install("go", "go version go1.26.8 linux/amd64")
    asked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (asked.returncode, asked.stdout, asked.stderr) == (0, "", "")


def test_the_oldest_go_is_that_of_the_tools() -> None:
    """tools/go/go.mod asks for the same version."""
    directive = re.search(r"^go (\d+)\.(\d+)", (ROOT / "tools/go/go.mod").read_text(), re.MULTILINE)
    assert directive is not None
    assert (int(directive[1]), int(directive[2])) == toolchains.GO
