"""``ocrmux`` as a process, against a strict stub over loopback."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.stub_servers import StubPlan, stub_gateway, stub_preprocess

COMMAND = (sys.executable, "-c", "from ocrmux_client.cli import main; main()")


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that has ended."""

    status: int
    out: str
    err: str

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


async def started(*arguments: str | Path, **options: Any) -> asyncio.subprocess.Process:
    pipes = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.PIPE, "stdin": asyncio.subprocess.DEVNULL}
    return await asyncio.create_subprocess_exec(*COMMAND, *map(str, arguments), **(pipes | options))


async def ocrmux(*arguments: str | Path, stdin: bytes | None = None, **options: Any) -> Ended:
    if stdin is not None:
        options["stdin"] = asyncio.subprocess.PIPE
    process = await started(*arguments, **options)
    out, err = await asyncio.wait_for(process.communicate(stdin), 60)
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six files; b.pdf has three pages, d.png is refused, note.txt is no image."""
    scans = tmp_path / "scans"
    (scans / "deep").mkdir(parents=True)
    contents = {"a.png": b"a", "b.pdf": b"pages=3", "d.png": b"error=IMAGE_UNDECODABLE", "e.jpg": b"e"}
    for name, content in contents.items():
        (scans / name).write_bytes(content)
    (scans / "deep" / "c.TIF").write_bytes(b"c")
    (scans / "note.txt").write_bytes(b"no image")
    (scans / ".hidden.png").write_bytes(b"hidden")
    return scans


async def test_a_folder_is_read_in_order_with_one_record_a_page(folder: Path) -> None:
    """Records stand in the order of the files; the refused one is told, and the exit status is 1."""
    plan = StubPlan()
    async with stub_preprocess(plan) as target:
        ended = await ocrmux("recognize", folder, "--target", target)
    assert ended.status == 1
    places = [(Path(record["source"]).name, record["page"], record["status"]) for record in ended.records]
    assert places == [
        ("a.png", 1, "OK"),
        ("b.pdf", 1, "OK"),
        ("b.pdf", 2, "OK"),
        ("b.pdf", 3, "OK"),
        ("d.png", 0, "INVALID_ARGUMENT"),
        ("c.TIF", 1, "OK"),
        ("e.jpg", 1, "OK"),
    ]
    first, refused = ended.records[0], ended.records[4]
    assert (first["provider"], first["cache"], first["attempts"]) == ("stub", "MISS", 1)
    assert first["timings_ms"]["total"] == 12.0
    assert first["document"]["pages"][0]["blocks"][0]["lines"][0]["polygon"]["points"][1] == {"x": 90.0, "y": 10.0}
    assert (refused["reason"], refused["document"], refused["text"]) == ("IMAGE_UNDECODABLE", None, None)
    assert "as the test wants it" in refused["message"]
    assert "d.png: INVALID_ARGUMENT IMAGE_UNDECODABLE" in ended.err
    assert "7 pages in" in ended.err
    assert "1 error" in ended.err


async def test_all_read_is_exit_status_0_and_quiet_says_nothing(folder: Path) -> None:
    """--quiet leaves standard error empty."""
    async with stub_preprocess(StubPlan()) as target:
        ended = await ocrmux("recognize", folder / "a.png", "--target", target, "--quiet")
    assert (ended.status, ended.err, len(ended.records)) == (0, "", 1)


async def test_the_format_follows_the_suffix_of_out(folder: Path, tmp_path: Path) -> None:
    """--out x.txt writes text, --format wins over the suffix, globs and standard input name files."""
    async with stub_preprocess(StubPlan()) as target:
        text = await ocrmux("recognize", str(folder / "*.jpg"), "--target", target, "--out", tmp_path / "x.txt")
        names = f"{folder / 'a.png'}\n{folder / 'gone.png'}\n"
        listed = await ocrmux("recognize", "-", "--format", "csv", "--target", target, stdin=names.encode())
    assert text.status == 0
    assert (tmp_path / "x.txt").read_text().startswith(f"=== {folder / 'e.jpg'} · stub · cache miss · 12 ms")
    assert listed.status == 1
    assert listed.out.splitlines()[0].startswith("source,page,line,text,confidence,x0,y0")
    assert "gone.png: NOT_FOUND SOURCE_UNREADABLE" in listed.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["gone.png"], "there is no file or folder gone.png"),
        (["gone*.png"], "nothing matches gone*.png"),
        (["."], "no image or document in ."),
        ([__file__, "--region", "1,2,3"], "--region wants x,y,width,height"),
        ([__file__, "--region", "1,2,0,5"], "--region wants x,y,width,height"),
        ([__file__, "--resume"], "--resume needs --format jsonl and --out FILE"),
        ([__file__, "--out", "nowhere/x.jsonl"], "nowhere/x.jsonl cannot be written"),
        ([__file__, "--provider", "a", "--route", "b"], "cannot be asked for at once"),
        ([__file__, "--no-cache", "--refresh"], "exclude each other"),
        ([__file__, "--feature", "poem"], "poem"),
        ([__file__, "--format", "hocr"], "hocr"),
        ([], "PATH"),
    ],
)
async def test_bad_usage_is_exit_status_2_with_a_clear_line(arguments: list[str], told: str, tmp_path: Path) -> None:
    """What cannot be started as asked is told before anything is started."""
    ended = await ocrmux("recognize", *arguments, cwd=tmp_path)
    assert ended.status == 2
    assert told in " ".join(ended.err.split())
    assert "Traceback" not in ended.err


async def test_an_unreachable_target_is_exit_status_2(folder: Path) -> None:
    """A wrong kind of server is told from a right one."""
    async with stub_gateway() as target:
        ended = await ocrmux("recognize", folder, "--target", target)
    assert ended.status == 2
    assert "is this a gateway?" in ended.err


async def test_an_interrupt_keeps_whole_records_and_ends_with_130(folder: Path, tmp_path: Path) -> None:
    """SIGINT while items are on their way leaves what is done, whole, and says so."""
    plan = StubPlan(gated_after=2)
    out = tmp_path / "out.jsonl"
    async with stub_preprocess(plan) as target:
        process = await started("recognize", folder, "--target", target, "--out", out)
        await _until_lines(out, 4)
        process.send_signal(signal.SIGINT)
        _, err = await asyncio.wait_for(process.communicate(), 20)
        await asyncio.wait_for(plan.was_cancelled.wait(), 5)
    assert process.returncode == 130
    assert b"interrupted; what is done is kept" in err
    assert len([json.loads(line) for line in out.read_text().splitlines()]) == 4


async def test_an_interrupt_is_heard_while_standard_input_is_silent() -> None:
    """A run that waits for paths can be interrupted."""
    async with stub_preprocess(StubPlan()) as target:
        process = await started("recognize", "-", "--target", target, "-v", stdin=asyncio.subprocess.PIPE)
        assert process.stdin is not None
        process.stdin.write(b"gone.png\n")
        assert process.stdout is not None
        await asyncio.wait_for(process.stdout.readline(), 20)
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 20) == 130
        await process.communicate()


async def test_a_killed_run_is_resumed_to_exactly_one_record_a_page(tmp_path: Path) -> None:
    """kill -9 in mid-run, a torn last line, then --resume: every page stands once, and only the rest is sent."""
    scans = tmp_path / "scans"
    scans.mkdir()
    for index in range(30):
        (scans / f"{index:02d}.png").write_bytes(b"pages=3" if index % 5 == 0 else f"page {index}".encode())
    (scans / "99.png").write_bytes(b"error=IMAGE_EMPTY")
    out = tmp_path / "out.jsonl"
    plan = StubPlan(gated_after=23)
    async with stub_preprocess(plan) as target:
        process = await started("recognize", scans, "--target", target, "--out", out)
        await _until_lines(out, 23)
        process.kill()
        await process.communicate()
    with out.open("ab") as torn:
        torn.write(b'{"source":"torn')
    again = StubPlan()
    async with stub_preprocess(again) as target:
        ended = await ocrmux("recognize", scans, "--target", target, "--out", out, "--resume")
        assert ended.status == 1
        kept = len(again.received)
        third = await ocrmux("recognize", scans, "--target", target, "--out", out, "--resume")
    records = [json.loads(line) for line in out.read_text().splitlines()]
    counts = Counter((record["source"], record["page"]) for record in records)
    assert set(counts.values()) == {1}
    assert len(counts) == 24 + 6 * 3 + 1
    assert 10 < kept < 31
    assert third.status == 1
    assert again.received[kept:] == ["00000001"]


async def test_a_reader_that_leaves_ends_the_run_quietly(tmp_path: Path) -> None:
    """``| head -1`` gets its line, and nothing is complained of."""
    for index in range(300):
        (tmp_path / f"{index:03d}.png").write_bytes(b"pages=20")
    async with stub_preprocess(StubPlan()) as target:
        process = await started("recognize", tmp_path, "--target", target)
        assert process.stdout is not None
        await process.stdout.readline()
        process.stdout._transport.close()  # type: ignore[attr-defined]
        assert process.stderr is not None
        err = await asyncio.wait_for(process.stderr.read(), 20)
        assert await process.wait() == 0
    assert err == b""


async def test_a_server_lost_for_good_ends_with_what_is_done(folder: Path) -> None:
    """When the server refuses to go on, the done pages stand and the reason is told."""
    plan = StubPlan(gated_after=1)
    async with stub_preprocess(plan) as target:
        process = await started("recognize", folder, "--target", target, "--concurrency", "1")
        assert process.stdout is not None
        await asyncio.wait_for(process.stdout.readline(), 20)
    plan.gate.set()
    refusing = StubPlan(refuses_stream=_gone())
    async with stub_preprocess(refusing, target):
        _, err = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 1
    assert b"PERMISSION_DENIED" in err


async def test_the_progress_bar_is_drawn_on_a_terminal(folder: Path) -> None:
    """On a terminal, standard error shows done and total, rate, cache hits, errors and time left."""
    master, slave = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "140", "LINES": "40"}
    async with stub_preprocess(StubPlan()) as target:
        process = await started("recognize", folder, "--target", target, stderr=slave, env=environment)
        os.close(slave)
        out, _ = await asyncio.wait_for(process.communicate(), 30)
    shown = await asyncio.to_thread(_drain, master)
    assert process.returncode == 1
    assert len(out.splitlines()) == 7
    for wanted in ("reading", "5/5", "pages/s", "cache 0", "errors 1", "left", "7 pages in"):
        assert wanted in shown


async def test_providers_are_shown_as_a_table_and_as_json() -> None:
    """A table for a person, JSON for a program."""
    async with stub_gateway() as target:
        table = await ocrmux("providers", "--target", target, env=os.environ | {"COLUMNS": "160"})
        listed = await ocrmux("providers", "--target", target, "--json")
    assert table.status == 0
    for wanted in (
        "stub-1",
        "serving",
        "embedded",
        "text",
        "≤ 4 MiB",
        "50/s",
        "0 running",
        "2 waiting",
        "no [credentials]",
    ):
        assert wanted in table.out
    assert [provider["name"] for provider in json.loads(listed.out)["providers"]] == ["stub", "bare"]


async def test_pictures_are_written_and_never_read_back(folder: Path) -> None:
    """--annotate inside the folder that is read gets a picture a page and is not walked."""
    from PIL import Image

    Image.new("RGB", (100, 40), "white").save(folder / "a.png")
    pictures = folder / "annotated"
    async with stub_preprocess(StubPlan()) as target:
        first = await ocrmux("recognize", folder, "--target", target, "--annotate", pictures)
        second = await ocrmux("recognize", folder, "--target", target, "--annotate", pictures)
    assert sorted(path.name for path in pictures.iterdir()) == ["a.png.png"]
    assert "1 annotated picture in" in first.err
    assert "5 pages that cannot be drawn" in first.err
    assert len(first.records) == len(second.records) == 7


async def test_the_version_is_told() -> None:
    """--version names the program and its version."""
    ended = await ocrmux("--version")
    assert (ended.status, ended.out.split()[0]) == (0, "ocrmux")


async def _until_lines(out: Path, count: int) -> None:
    def written() -> int:
        return out.read_bytes().count(b"\n") if out.exists() else 0

    async with asyncio.timeout(30):
        while written() < count:  # noqa: ASYNC110 - another process writes the file
            await asyncio.sleep(0.02)


def _drain(master: int) -> str:
    shown = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.close(master)
    return shown.decode(errors="replace")


def _gone() -> Any:
    import grpc

    from tests.fakes.stub_servers import item_error

    return item_error(grpc.StatusCode.PERMISSION_DENIED, "CALLER_FORBIDDEN", "not any more")
