"""Checks that the protos break no caller, or publishes them: ``published_contract.py [--publish [--force]]``.

They are compared with the contract as it was last published, which is committed, and with the main branch where the
working tree is not main itself. ``--publish`` makes the protos the published contract, which is done with a release; it
refuses what breaks callers, unless ``--force``. Exits 1 with each breaking change on standard error.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IMAGE_NAME = "proto.published.binpb"
TIMEOUT_S = 120


def breaking_changes(root: Path, against: str) -> list[str]:
    """What breaks callers of ``against``, a buf input, a line each; what buf itself fails with is such a line too."""
    buf = Path(sys.executable).with_name("buf")
    command = [str(buf), "breaking", "--against", against]
    compared = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, cwd=root)
    if compared.returncode == 0:
        return []
    return (compared.stdout + compared.stderr).splitlines() or [f"buf breaking: exit status {compared.returncode}"]


def main_branch(root: Path) -> str | None:
    """The main branch as a buf input. None where there is none to compare with: a copy without git or without that
    branch, or a working tree whose protos are those of main.
    """
    for reference in ("refs/heads/main", "refs/remotes/origin/main"):
        if _git(root, "rev-parse", "--verify", "--quiet", reference):
            same = _git(root, "diff", "--quiet", reference, "--", "proto", "buf.yaml")
            return None if same else f".git#ref={reference}"
    return None


def check(root: Path) -> list[str]:
    """Every breaking change, under what it was compared with."""
    image = root / IMAGE_NAME
    if not image.exists():
        return [f"{IMAGE_NAME} is missing; run: make proto-publish"]
    found = []
    for name, against in (("the published contract", str(image)), ("main", main_branch(root))):
        if against and (changes := breaking_changes(root, against)):
            found += [f"breaks callers of {name}:", *(f"  {change}" for change in changes)]
    return found


def publish(root: Path, *, force: bool) -> list[str]:
    """Makes the protos the published contract. Writes nothing, and returns why, where they break callers of the last
    one without ``force``. Raises CalledProcessError when a proto does not compile.
    """
    image = root / IMAGE_NAME
    if image.exists() and not force and (changes := breaking_changes(root, str(image))):
        return ["breaks callers; nothing was published:", *(f"  {change}" for change in changes)]
    buf = Path(sys.executable).with_name("buf")
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / IMAGE_NAME
        command = [str(buf), "build", "--exclude-source-info", "--output", str(built)]
        subprocess.run(command, check=True, timeout=TIMEOUT_S, cwd=root)
        image.write_bytes(built.read_bytes())
    return []


def _git(root: Path, *arguments: str) -> bool:
    """Whether git is there and succeeds."""
    try:
        asked = subprocess.run(["git", *arguments], capture_output=True, timeout=TIMEOUT_S, check=False, cwd=root)
    except FileNotFoundError:
        return False
    return asked.returncode == 0


def main(arguments: list[str]) -> int:
    """Exit status: 0 when nothing breaks or it was published, 1 when something does, 2 on bad usage."""
    if arguments not in ([], ["--publish"], ["--publish", "--force"]):
        sys.stderr.write("usage: published_contract.py [--publish [--force]]\n")
        return 2
    try:
        found = publish(ROOT, force="--force" in arguments) if arguments else check(ROOT)
    except subprocess.CalledProcessError:
        return 1
    sys.stderr.writelines(f"{line}\n" for line in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
