"""Checks, without a network, that the lock files hold what pyproject.toml and requirements-sdks.in ask for. `make lock`
mends what it names.

Each lock must pin every requirement of its own, at a version that fits, and nothing more than these and what they need;
both locks of the project must pin the same versions. Exits 1 and names each difference.
"""

from __future__ import annotations

import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PIN = re.compile(r"^(?P<name>[a-z0-9.-]+)==(?P<version>[^\s;]+)")
ASKED_BY_PROJECT = re.compile(r"^    #\s+(via )?(ocrmux \(pyproject\.toml(:\w+)?\)|-r requirements-sdks\.in)$")


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock file: the version of each package, and which of them it says that the project asks for by itself."""

    versions: dict[str, str]
    direct: frozenset[str]


def read_lock(path: Path) -> Lock:
    """Reads a lock file as uv writes it. Raises OSError when it cannot be read."""
    versions: dict[str, str] = {}
    direct: set[str] = set()
    name = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if pin := PIN.match(line):
            name = canonicalize_name(pin["name"])
            versions[name] = pin["version"]
        elif ASKED_BY_PROJECT.match(line):
            direct.add(name)
    return Lock(versions, frozenset(direct))


def differences(lock: Lock, requirements: list[Requirement]) -> list[str]:
    """What is wrong with the lock, one sentence each."""
    wanted = {canonicalize_name(requirement.name): requirement for requirement in requirements}
    found = [f"{name} is pinned for the project, which no longer asks for it" for name in lock.direct - wanted.keys()]
    for name, requirement in wanted.items():
        if name not in lock.direct:
            found.append(f"{requirement} is not pinned")
        elif not requirement.specifier.contains(lock.versions[name], prereleases=True):
            found.append(f"{name} is pinned at {lock.versions[name]}, which is not {requirement.specifier}")
    return sorted(found)


def sdks() -> list[Requirement]:
    """What requirements-sdks.in asks for."""
    lines = (ROOT / "requirements-sdks.in").read_text(encoding="utf-8").splitlines()
    stated = (line.partition("#")[0].strip() for line in lines)
    return [Requirement(text) for text in stated if text]


def sdks_lock() -> Lock:
    """The lock of the SDKs."""
    return read_lock(ROOT / "requirements-sdks.lock")


def main() -> int:
    """Exit status: 0 when the locks fit, else 1."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    runtime = [Requirement(text) for text in project["project"]["dependencies"]]
    develop = runtime + [Requirement(text) for text in project["dependency-groups"]["dev"]]
    runtime_lock = read_lock(ROOT / "requirements.lock")
    develop_lock = read_lock(ROOT / "requirements-dev.lock")
    found = [f"requirements.lock: {text}" for text in differences(runtime_lock, runtime)]
    found += [f"requirements-dev.lock: {text}" for text in differences(develop_lock, develop)]
    found += [
        f"{name} is {version} in requirements.lock and {develop_lock.versions.get(name)} in requirements-dev.lock"
        for name, version in sorted(runtime_lock.versions.items())
        if develop_lock.versions.get(name) != version
    ]
    found += [f"requirements-sdks.lock: {text}" for text in differences(sdks_lock(), sdks())]
    for text in found:
        sys.stderr.write(f"{text}\n")
    if found:
        sys.stderr.write("run: make lock\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
