"""Generates what is committed of the protos: the stubs of each language and docs/api-reference.md.

``generate_stubs.py`` writes; ``generate_stubs.py --check`` changes nothing, and names every file that differs, is
missing or is left over. ``buf generate`` does it with the pinned plugins of ``tools/``, which make builds first. A
language without its toolchain is left out in one line; where CI is set that is a failure. The Java stubs are not
committed: their build makes them.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts import toolchains

ROOT = Path(__file__).resolve().parent.parent
GENERATE_TIMEOUT_S = 300


@dataclass(frozen=True, slots=True)
class Generated:
    """What one template generates: the files under ``folder`` that match ``patterns`` are its own, and no others."""

    name: str
    folder: str
    patterns: tuple[str, ...]
    toolchain: str | None = None

    @property
    def template(self) -> str:
        """What buf reads; the paths in it start at the repository's root."""
        return f"tools/{self.name}/buf.gen.yaml"

    def contents(self, root: Path) -> dict[str, bytes]:
        """Each file's path and bytes."""
        paths = {path for pattern in self.patterns for path in (root / self.folder).glob(pattern) if path.is_file()}
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


ALL = (
    Generated("python", "clients/python/ocrmux", ("**/*_pb2*.py", "**/*_pb2*.pyi")),
    Generated("go", "clients/go/gen", ("**/*",), toolchain="go"),
    Generated("node", "clients/node/src/gen", ("**/*",), toolchain="node"),
    Generated("reference", "docs", ("api-reference.md",)),
)


def generate(kind: Generated, root: Path, out: Path) -> None:
    """Writes one kind's files under ``out``, at their places in the repository.

    Raises CalledProcessError when a proto does not compile or a plugin fails; the reason stands on standard error.
    """
    buf = Path(sys.executable).with_name("buf")
    command = [str(buf), "generate", "--template", kind.template, "--output", str(out)]
    subprocess.run(command, check=True, timeout=GENERATE_TIMEOUT_S, cwd=root)


def stale(kind: Generated, wanted: dict[str, bytes], root: Path) -> Iterator[str]:
    """The files of one kind that are not what they should be, and how."""
    present = kind.contents(root)
    for name in sorted(wanted.keys() | present.keys()):
        if name not in present:
            yield f"missing: {name}"
        elif name not in wanted:
            yield f"left over: {name}"
        elif wanted[name] != present[name]:
            yield f"not up to date: {name}"


def write(kind: Generated, wanted: dict[str, bytes], root: Path) -> None:
    """Makes the files of one kind what they should be, and touches none that is so already."""
    present = kind.contents(root)
    for name in present.keys() - wanted.keys():
        (root / name).unlink()
    for name, content in wanted.items():
        if present.get(name) != content:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)


def update(root: Path, *, check: bool) -> bool:
    """Generates all kinds from the protos under ``root``, and writes them there or checks them. Whether all is well."""
    well = True
    for kind in ALL:
        if kind.toolchain and (reason := toolchains.missing(kind.toolchain)):
            sys.stderr.write(f"  left out: {kind.folder}: {reason}\n")
            well = well and not toolchains.strict()
            continue
        with tempfile.TemporaryDirectory() as folder:
            generate(kind, root, Path(folder))
            wanted = kind.contents(Path(folder))
        if not check:
            write(kind, wanted, root)
            continue
        if differences := list(stale(kind, wanted, root)):
            sys.stderr.writelines(f"{difference}; run: make proto\n" for difference in differences)
            well = False
    return well


def main(arguments: list[str]) -> int:
    """Exit status: 0 when written or up to date, 1 when something differs or could not be generated, 2 on bad usage."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: generate_stubs.py [--check]\n")
        return 2
    try:
        well = update(ROOT, check=bool(arguments))
    except subprocess.CalledProcessError:
        return 1
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
