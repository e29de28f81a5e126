"""Which files are read, and what an earlier run has left."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import aclosing
from pathlib import Path

import pytest

from ocrmux_client.errors import UsageProblem
from ocrmux_client.resume import source_key, take_up
from ocrmux_client.sources import check_paths, common_root, read_ahead, walk


def names(found: list[Path], root: Path) -> list[str]:
    return [str(path.relative_to(root)) for path in found]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("b/2.png", "b/10.jpg", "a.JPEG", "c.pdf", "notes.txt", ".trash/x.png", "b/._2.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path


def test_a_folder_gives_its_images_and_documents_by_name(tree: Path) -> None:
    """Recursively, sorted, without hidden files and without other kinds of file."""
    assert names(list(walk([str(tree)])), tree) == ["a.JPEG", "b/10.jpg", "b/2.png", "c.pdf"]


@pytest.mark.parametrize(
    "suffix", ["jpg", "png", "tif", "tiff", "webp", "bmp", "gif", "heic", "HEIF", "hif", "avif", "pdf"]
)
def test_a_folder_gives_every_format_that_is_read(suffix: str, tmp_path: Path) -> None:
    """What a scanner or a phone makes, in small or capital letters."""
    (tmp_path / f"a.{suffix}").write_bytes(b"x")
    assert names(list(walk([str(tmp_path)])), tmp_path) == [f"a.{suffix}"]


def test_a_named_file_is_given_whatever_its_suffix_and_once(tree: Path) -> None:
    """A file named twice, or within a named folder, is read once."""
    arguments = [str(tree / "notes.txt"), str(tree / "b"), str(tree / "b" / "2.png"), str(tree / "notes.txt")]
    assert names(list(walk(arguments)), tree) == ["notes.txt", "b/10.jpg", "b/2.png"]


def test_a_glob_gives_what_it_matches(tree: Path) -> None:
    """Also into folders with **."""
    assert names(list(walk([str(tree / "*.p*")])), tree) == ["c.pdf"]
    assert names(list(walk([str(tree / "**" / "*.png")])), tree) == ["b/2.png"]


def test_a_file_whose_name_looks_like_a_glob_is_that_file(tmp_path: Path) -> None:
    """Brackets in an existing name are no pattern."""
    (tmp_path / "[1].png").write_bytes(b"x")
    check_paths([str(tmp_path / "[1].png")])
    assert names(list(walk([str(tmp_path / "[1].png")])), tmp_path) == ["[1].png"]


def test_standard_input_names_files_line_by_line(tree: Path) -> None:
    """Blank lines are nothing, a missing file is still given, to be answered as unreadable."""
    lines = [f"{tree / 'a.JPEG'}\n", "\n", f"{tree / 'gone.png'}\r\n", str(tree / "b")]
    assert names(list(walk(["-"], lines=lines)), tree) == ["a.JPEG", "gone.png", "b/10.jpg", "b/2.png"]


def test_a_folder_of_results_is_left_out(tree: Path) -> None:
    """What --annotate writes into the folder is not read."""
    assert names(list(walk([str(tree)], without=tree / "b")), tree) == ["a.JPEG", "c.pdf"]


def test_the_walk_is_lazy(tree: Path) -> None:
    """A later folder is looked at only when its turn comes."""
    walked = walk([str(tree)])
    assert next(walked).name == "a.JPEG"
    (tree / "b" / "3.png").write_bytes(b"x")
    assert [path.name for path in walked] == ["10.jpg", "2.png", "3.png", "c.pdf"]


@pytest.mark.parametrize("argument", ["gone", "gone/*.png"])
def test_a_path_that_names_nothing_is_told(argument: str, tmp_path: Path) -> None:
    """Before anything is started."""
    with pytest.raises(UsageProblem, match="gone"):
        check_paths([str(tmp_path), str(tmp_path / argument)])


def test_the_common_root_holds_everything(tree: Path) -> None:
    """Folders, files and globs count by the folder they lie in."""
    assert common_root([str(tree / "b")]) == tree / "b"
    assert common_root([str(tree / "b" / "2.png"), str(tree / "*.pdf")]) == tree


async def test_reading_ahead_is_bounded_and_left_at_once(tmp_path: Path) -> None:
    """At most 64 paths are found ahead, and a walk that hangs holds nobody up."""
    taken = 0
    hang = threading.Event()

    def endless() -> object:
        nonlocal taken
        while True:
            taken += 1
            if taken == 200:
                hang.wait(30)
            yield tmp_path

    async with aclosing(read_ahead(endless())) as paths:  # type: ignore[arg-type]
        for _ in range(10):
            await anext(paths)
        await asyncio.sleep(0)
        assert taken <= 10 + 64 + 1
        for _ in range(189):
            await anext(paths)
        waiting = asyncio.ensure_future(anext(paths))
        await asyncio.wait({waiting}, timeout=0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    hang.set()


def line(source: str, page: int, count: int | None, status: str = "OK") -> str:
    return json.dumps({"source": source, "page": page, "page_count": count, "status": status}) + "\n"


def test_complete_sources_are_kept_and_the_rest_is_taken_out(tmp_path: Path) -> None:
    """Incomplete, failed and torn ones go, duplicates go, what stays is byte for byte what it was."""
    out = tmp_path / "out.jsonl"
    kept = line("a", 1, 2) + line("b", 1, 1) + line("a", 2, 2)
    gone = (
        line("half", 1, 3) + line("bad", 1, 2) + line("bad", 2, 2, "UNAVAILABLE") + line("void", 0, None, "NOT_FOUND")
    )
    out.write_text(line("a", 1, 2) + line("b", 1, 1) + gone + line("a", 2, 2) + line("b", 1, 1) + line("c", 1, 1)[:-9])
    out.chmod(0o640)
    assert take_up(out) == {source_key("a"), source_key("b")}
    assert out.read_text() == kept
    assert out.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]


def test_one_file_by_two_spellings_is_one_source(tmp_path: Path) -> None:
    """./a and a are the same to a resumed run."""
    assert source_key("./x/../a.png") == source_key("a.png")


@pytest.mark.parametrize("content", ["", '{"sour', line("a", 1, 2)[:20]])
def test_a_file_with_nothing_whole_in_it_starts_afresh(content: str, tmp_path: Path) -> None:
    """Nothing, or one torn line, is an empty beginning; so is no file."""
    out = tmp_path / "out.jsonl"
    out.write_text(content)
    assert take_up(out) == frozenset()
    assert out.read_text() == ""
    assert take_up(tmp_path / "new.jsonl") == frozenset()


@pytest.mark.parametrize(
    "content", ["my notes\n", "my notes\nand more\n", line("a", 1, 1) + "junk\n" + line("b", 1, 1)]
)
def test_a_file_of_something_else_is_refused_and_left_as_it_is(content: str, tmp_path: Path) -> None:
    """No foreign file is ever rewritten."""
    out = tmp_path / "out.jsonl"
    out.write_text(content)
    with pytest.raises(UsageProblem, match="is no record"):
        take_up(out)
    assert out.read_text() == content
