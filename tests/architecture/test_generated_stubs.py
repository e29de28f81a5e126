"""What is committed of the protos is what they give, and the check sees each way in which it is not."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from scripts import generate_stubs, toolchains
from scripts.generate_stubs import ALL, Generated
from tests.fakes.languages import ROOT, go_tool, made, require_toolchain

IMAGE_PROTO = "proto/ocrmux/ocr/v1/image.proto"
NEVER = "a toolchain that is never there"

pytestmark = pytest.mark.timeout(900)  # the first build of the Go plugins


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the protos and of what is generated from them, with this repository's plugins."""
    shutil.copytree(ROOT / "proto", tmp_path / "proto")
    shutil.copyfile(ROOT / "buf.yaml", tmp_path / "buf.yaml")
    (tmp_path / "tools").symlink_to(ROOT / "tools")
    (tmp_path / "build").symlink_to(ROOT / "build")
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parent.parent)
    for kind in ALL:
        generate_stubs.write(kind, kind.contents(ROOT), tmp_path)
    return tmp_path


@pytest.fixture(params=ALL, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Generated:
    """Each kind, as the only one, with its plugins built."""
    alone: Generated = request.param
    if alone.name == "go":
        go_tool("protoc-gen-go")
        go_tool("protoc-gen-go-grpc")
    if alone.name == "node":
        require_toolchain("node")
        made("tools/node/node_modules/.ready")
    monkeypatch.setattr(generate_stubs, "ALL", (alone,))
    return alone


def test_what_is_committed_is_up_to_date(kind: Generated, tree: Path) -> None:
    """Generating it again changes nothing."""
    assert kind.contents(tree)
    assert generate_stubs.update(tree, check=True)


def test_each_difference_is_named(kind: Generated, tree: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A file that differs, one that is missing and one that is left over; `make proto` mends them and nothing else."""
    changed, *others = sorted(kind.contents(tree))
    good = kind.contents(tree)
    bystander = tree / kind.folder / ".." / "written-by-hand.md"
    bystander.write_text("stays")
    (tree / changed).write_text("changed")
    expected = [f"not up to date: {changed}"]
    if others:  # the reference is one page
        (tree / others[0]).unlink()
        extra = f"{Path(changed).parent.as_posix()}/old{Path(changed).name}"
        (tree / extra).write_text("left over")
        expected += [f"missing: {others[0]}", f"left over: {extra}"]
    assert not generate_stubs.update(tree, check=True)
    named = [line.removesuffix("; run: make proto") for line in capfd.readouterr().err.splitlines()]
    assert sorted(named) == sorted(expected)
    assert (tree / changed).read_text() == "changed"
    assert generate_stubs.update(tree, check=False)
    assert kind.contents(tree) == good
    assert bystander.read_text() == "stays"


def test_a_change_of_a_proto_is_seen(kind: Generated, tree: Path) -> None:
    """A new field makes what was generated before stale, and is in what is generated then."""
    proto = tree / IMAGE_PROTO
    proto.write_text(
        proto.read_text().replace("uint64 total_bytes = 1;", "uint64 total_bytes = 1;\n  // New.\n  bool zebra = 2;")
    )
    assert not generate_stubs.update(tree, check=True)
    assert generate_stubs.update(tree, check=False)
    assert any(b"zebra" in content.lower() for content in kind.contents(tree).values())


def test_a_missing_toolchain_is_said(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its language is left out in one line, which in CI is a failure; its files are left alone."""
    go = next(kind for kind in ALL if kind.toolchain == "go")
    stub = tree / go.folder / "changed.go"
    stub.write_text("changed")
    monkeypatch.setattr(generate_stubs, "ALL", (go,))
    monkeypatch.setattr(toolchains, "missing", lambda language: NEVER)
    for check in (True, False):
        monkeypatch.delenv("CI", raising=False)
        assert generate_stubs.update(tree, check=check)
        assert capfd.readouterr().err == f"  left out: clients/go/gen: {NEVER}\n"
        monkeypatch.setenv("CI", "true")
        assert not generate_stubs.update(tree, check=check)
        assert capfd.readouterr().err == f"  left out: clients/go/gen: {NEVER}\n"
    assert stub.read_text() == "changed"


def test_only_services_have_grpc_modules() -> None:
    """A proto without a service has no ``_pb2_grpc`` module."""
    names = {path.name for path in (ROOT / "clients/python/ocrmux").rglob("*_grpc.py")}
    assert names == {"gateway_pb2_grpc.py", "preprocess_pb2_grpc.py"}
