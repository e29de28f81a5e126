"""A change of the protos that breaks callers is refused, whatever the branch."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from scripts import published_contract
from tests.fakes.languages import ROOT

RECOGNITION = "proto/ocrmux/ocr/v1/recognition.proto"
GATEWAY = "proto/ocrmux/gateway/v1/gateway.proto"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the protos and of the published contract, without git."""
    shutil.copytree(ROOT / "proto", tmp_path / "proto")
    for name in ("buf.yaml", published_contract.IMAGE_NAME):
        shutil.copyfile(ROOT / name, tmp_path / name)
    return tmp_path


def change(tree: Path, name: str, old: str, new: str) -> None:
    text = (tree / name).read_text()
    assert text.count(old) == 1
    (tree / name).write_text(text.replace(old, new))


def git(tree: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=tree, check=True, capture_output=True, timeout=60)


def test_the_protos_are_as_published(tree: Path) -> None:
    """What is committed breaks nobody."""
    assert published_contract.check(tree) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        (RECOGNITION, "repeated string languages = 4;", "repeated string language_codes = 4;", "language_codes"),
        (RECOGNITION, "repeated string languages = 4;", "repeated string languages = 44;", '"languages"'),
        (RECOGNITION, "uint32 max_items_in_flight = 1;", "uint64 max_items_in_flight = 1;", "max_items_in_flight"),
        (RECOGNITION, "  // A person waits for it.\n  PRIORITY_HIGH = 3;\n", "", 'value "3" on enum "Priority"'),
        (GATEWAY, "rpc Recognize(RecognizeRequest)", "rpc Read(RecognizeRequest)", '"Recognize"'),
    ],
    ids=["renamed", "renumbered", "retyped", "value removed", "method renamed"],
)
def test_breaking_changes_are_refused(tree: Path, name: str, old: str, new: str, said: str) -> None:
    """Neither the check nor a release lets them through, and both name the place."""
    published = (tree / published_contract.IMAGE_NAME).read_bytes()
    change(tree, name, old, new)
    for found in (published_contract.check(tree), published_contract.publish(tree, force=False)):
        assert any(name in line and said in line for line in found)
    assert (tree / published_contract.IMAGE_NAME).read_bytes() == published


def test_additions_pass(tree: Path) -> None:
    """A new field and a new value break nobody; once published, taking them away again does."""
    before = (tree / RECOGNITION).read_text()
    change(
        tree,
        RECOGNITION,
        "  repeated string languages = 4;\n",
        "  repeated string languages = 4;\n  // New.\n  string later = 99;\n",
    )
    change(tree, RECOGNITION, "  PRIORITY_HIGH = 3;\n", "  PRIORITY_HIGH = 3;\n  // New.\n  PRIORITY_LATER = 4;\n")
    assert published_contract.check(tree) == []
    assert published_contract.publish(tree, force=False) == []
    assert published_contract.check(tree) == []
    (tree / RECOGNITION).write_text(before)
    found = "\n".join(published_contract.check(tree))
    assert '"later"' in found
    assert 'value "4" on enum "Priority"' in found


def test_a_break_can_be_forced(tree: Path) -> None:
    """Then the broken contract is the published one."""
    change(tree, RECOGNITION, "repeated string languages = 4;", "repeated string language_codes = 4;")
    assert published_contract.publish(tree, force=True) == []
    assert published_contract.check(tree) == []


def test_protos_that_do_not_compile_are_refused(tree: Path) -> None:
    """What buf says of them is what the check says."""
    change(tree, RECOGNITION, "repeated string languages = 4;", "repeated strin languages = 4;")
    assert any("strin" in line for line in published_contract.check(tree))


def test_without_a_published_contract_nothing_passes(tree: Path) -> None:
    """A check that compares with nothing would always succeed."""
    (tree / published_contract.IMAGE_NAME).unlink()
    assert published_contract.check(tree) == ["proto.published.binpb is missing; run: make proto-publish"]


def test_a_branch_is_compared_with_main(tree: Path) -> None:
    """What main has and was not published yet is not taken away either; main itself is not compared with itself."""
    change(tree, RECOGNITION, "string route = 3;", "string route = 3;\n    // New.\n    string unpublished = 98;")
    git(tree, "init", "--initial-branch=main", "--quiet")
    git(tree, "add", ".")
    git(tree, "commit", "--quiet", "--message=main")
    assert published_contract.main_branch(tree) is None
    git(tree, "checkout", "--quiet", "-b", "topic")
    change(tree, RECOGNITION, "\n    // New.\n    string unpublished = 98;", "")
    found = published_contract.check(tree)
    assert found[0] == "breaks callers of main:"
    assert any('"unpublished"' in line for line in found)
