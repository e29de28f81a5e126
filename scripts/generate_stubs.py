"""Generates the Python stubs from the protos into clients/python, or checks that the committed ones are up to date.

``generate_stubs.py`` writes; ``generate_stubs.py --check`` changes nothing and exits 1 when a stub differs, is missing
or is left over. Only protos with a service get ``_pb2_grpc`` modules. Google's own protos come from their package.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from google.protobuf import descriptor_pb2

ROOT = Path(__file__).resolve().parent.parent
PROTO_DIR = ROOT / "proto"
STUBS_DIR = ROOT / "clients" / "python" / "ocrmux"
PROTOC_TIMEOUT_S = 120


def generate(out: Path) -> None:
    """Writes the stubs under ``out``. Raises CalledProcessError when a proto does not compile."""
    scripts = Path(sys.executable).parent
    descriptors = out / "descriptors.binpb"
    protos = sorted(path.relative_to(PROTO_DIR).as_posix() for path in (PROTO_DIR / "ocrmux").rglob("*.proto"))
    command = [
        *(sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={PROTO_DIR}"),
        f"--plugin=protoc-gen-mypy={scripts / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={scripts / 'protoc-gen-mypy_grpc'}",
        *(f"--{kind}_out={out}" for kind in ("python", "grpc_python")),
        *(f"--{kind}_out=quiet:{out}" for kind in ("mypy", "mypy_grpc")),
        f"--descriptor_set_out={descriptors}",
        *protos,
    ]
    subprocess.run(command, check=True, timeout=PROTOC_TIMEOUT_S)
    files = descriptor_pb2.FileDescriptorSet.FromString(descriptors.read_bytes()).file
    for file in files:
        if not file.service:
            stem = out / file.name.removesuffix(".proto")
            for suffix in ("_pb2_grpc.py", "_pb2_grpc.pyi"):
                stem.with_name(stem.name + suffix).unlink(missing_ok=True)


def contents(package: Path) -> dict[str, bytes]:
    """The generated modules under ``package``: path to bytes."""
    return {
        path.relative_to(package).as_posix(): path.read_bytes()
        for pattern in ("*_pb2*.py", "*_pb2*.pyi")
        for path in package.rglob(pattern)
    }


def main(arguments: list[str]) -> int:
    """Exit status: 0 when written or up to date, 1 when the check finds a difference, 2 on bad usage."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: generate_stubs.py [--check]\n")
        return 2
    with tempfile.TemporaryDirectory() as directory:
        generate(Path(directory))
        wanted = contents(Path(directory) / "ocrmux")
        present = contents(STUBS_DIR)
        stale = sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))
        if arguments:
            for name in stale:
                sys.stderr.write(f"not up to date: clients/python/ocrmux/{name}\n")
            return 1 if stale else 0
        for name in present.keys() - wanted.keys():
            (STUBS_DIR / name).unlink()
        for name in wanted:
            (STUBS_DIR / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(Path(directory) / "ocrmux" / name, STUBS_DIR / name)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
