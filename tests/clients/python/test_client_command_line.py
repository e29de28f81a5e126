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

from ocrmux.ocr.v1.recognition_pb2 import PageAnswer
from ocrmux_client.records import PageRecord
from ocrmux_client.run_summary import RunSummary
from tests.fakes.stub_servers import StubPlan, pages_of, stub_gateway, stub_preprocess

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
        (["gone.png"], "ocrmux: there is no file or folder gone.png (nothing was read)"),
        (["gone*.png"], "ocrmux: nothing matches gone*.png (nothing was read)"),
        (["a.png", __file__, "b*", "c.png"], "no file or folder a.png, c.png; nothing matches b* (nothing was read)"),
        (["."], "no image or document in ."),
        ([__file__, "--region", "1,2,3"], "--region wants four numbers, X,Y,WIDTH,HEIGHT in pixels, for example"),
        ([__file__, "--region", "1,2,x,4"], "not '1,2,x,4'"),
        ([__file__, "--region", "1,2,0,5"], "--region 1,2,0,5: a region needs x and y of 0 or more"),
        ([__file__, "--target", "nonsense"], "--target wants HOST:PORT, [IPv6]:PORT, unix:PATH, dns:///HOST:PORT"),
        ([__file__, "--target", "foo:bar"], "not 'foo:bar'"),
        ([__file__, "--target", "http://foo:80"], "HOST:PORT (without http://)"),
        ([__file__, "--resume"], "--resume needs --format jsonl and --out FILE"),
        ([__file__, "--out", "nowhere/x.jsonl"], "nowhere/x.jsonl cannot be written"),
        ([__file__, "--provider", "a", "--route", "b"], "cannot be asked for at once"),
        ([__file__, "--no-cache", "--refresh"], "exclude each other"),
        ([__file__, "--feature", "poem"], "'poem' is no feature; there are text, table, id"),
        ([__file__, "--format", "hocr"], "hocr, alto and pdf come in a later release"),
        ([__file__, "--out", "x.pdf"], "hocr, alto and pdf come in a later release"),
        ([__file__, "--format", "docx"], "'docx' is no format; there are jsonl, txt, csv, md"),
        ([], "PATH"),
    ],
)
async def test_bad_usage_is_exit_status_2_with_a_clear_line(arguments: list[str], told: str, tmp_path: Path) -> None:
    """What cannot be started as asked is told before anything is started."""
    ended = await ocrmux("recognize", *arguments, cwd=tmp_path)
    assert ended.status == 2
    assert told in " ".join(ended.err.replace("│", " ").split())
    assert not any(word in ended.err for word in ("Traceback", "Value error", "could not convert"))
    assert await asyncio.to_thread(lambda: list(tmp_path.iterdir())) == []


async def test_the_wrong_kind_of_server_is_exit_status_2(folder: Path) -> None:
    """A gateway where the preprocess service belongs, or the other way round, is told in one plain line."""
    async with stub_gateway() as gateway, stub_preprocess(StubPlan()) as preprocess:
        read = await ocrmux("recognize", folder, "--target", gateway)
        listed = await ocrmux("providers", "--target", preprocess)
    wants = "; --target wants the address of a"
    assert (read.status, listed.status) == (2, 2)
    assert read.err == f"ocrmux: {gateway} is no preprocess service, perhaps a gateway{wants} preprocess service here\n"
    assert listed.err == f"ocrmux: {preprocess} is no gateway, perhaps a preprocess service{wants} gateway here\n"


async def test_a_taken_port_is_told_in_one_line() -> None:
    """serve names the port and the option, and starts nothing."""
    async with stub_gateway() as target:
        port = target.rpartition(":")[2]
        ended = await ocrmux("serve", "--preprocess-port", port, "--gateway-port", "0")
    assert (ended.status, ended.out) == (2, "")
    told = f"port {port} of 127.0.0.1 is taken; choose another by --preprocess-port (0: any free one)"
    assert ended.err == f"ocrmux: {told}\n"


async def test_serve_tells_people_on_standard_output_and_logs_on_standard_error(tmp_path: Path) -> None:
    """The addresses and what to try stand alone on standard output; off a terminal each log line is JSON."""
    environment = os.environ | {"GATEWAY_CACHE__DIR": str(tmp_path)}
    process = await started("serve", "--preprocess-port", "0", "--gateway-port", "0", env=environment)
    assert process.stdout is not None
    assert process.stderr is not None
    logs = asyncio.ensure_future(process.stderr.read())
    told = (await asyncio.wait_for(process.stdout.readuntil(b"Ctrl-C stops both."), 60)).decode()
    process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(process.wait(), 30) == 0
    assert "preprocess service  127.0.0.1:" in told
    assert "ocrmux recognize FILE --target 127.0.0.1:" in told
    assert "{" not in told
    events = [json.loads(line)["event"] for line in (await logs).decode().splitlines()]
    assert events.count("server.serving") == 2


async def test_what_all_items_fail_for_is_said_once(tmp_path: Path) -> None:
    """A wrong language, say, is one line and not one a file; single failures stay listed by name."""
    for index in range(30):
        (tmp_path / f"{index:02d}.png").write_bytes(b"error=FIELD_INVALID")
    async with stub_preprocess(StubPlan()) as target:
        ended = await ocrmux("recognize", tmp_path, "--target", target)
    assert (ended.status, len(ended.records)) == (1, 30)
    lines = ended.err.splitlines()
    assert lines[0] == "not read: all 30 items failed: INVALID_ARGUMENT FIELD_INVALID: as the test wants it"
    assert len(lines) == 2


async def test_failures_of_one_cause_stand_together(folder: Path) -> None:
    """Equal failures share one line with their names below, cut short where there are several causes."""
    for index in range(7):
        (folder / f"x{index}.png").write_bytes(b"error=IMAGE_EMPTY")
    async with stub_preprocess(StubPlan()) as target:
        ended = await ocrmux("recognize", folder, "--target", target)
    assert ended.err.splitlines()[:-1] == [
        "not read:",
        f"  {folder}/d.png: INVALID_ARGUMENT IMAGE_UNDECODABLE: as the test wants it",
        "  7 times INVALID_ARGUMENT IMAGE_EMPTY: as the test wants it",
        *(f"    {folder}/x{index}.png" for index in range(5)),
        "    … and 2 more",
    ]


async def test_a_locked_document_is_told_with_what_opens_it(tmp_path: Path) -> None:
    """The end says which documents want a password, and once how to give it; the password goes with each file."""
    for name in ("a.pdf", "b.pdf"):
        (tmp_path / name).write_bytes(b"error=PASSWORD_REQUIRED")
    (tmp_path / "c.png").write_bytes(b"c")
    plan = StubPlan()
    async with stub_preprocess(plan) as target:
        ended = await ocrmux("recognize", tmp_path, "--target", target, env=os.environ | {"OCRMUX_PASSWORD": "wrong"})
    assert ended.err.splitlines()[:-1] == [
        "not read:",
        "  2 times INVALID_ARGUMENT PASSWORD_REQUIRED: as the test wants it",
        f"    {tmp_path}/a.pdf",
        f"    {tmp_path}/b.pdf",
        "encrypted documents are opened with --password TEXT, or OCRMUX_PASSWORD",
    ]
    assert {item.password for item in plan.items} == {"wrong"}


async def test_raw_asks_for_the_providers_own_answer(tmp_path: Path) -> None:
    """It stands in the record; a format that has no place for it is bad usage."""
    (tmp_path / "a.png").write_bytes(b"content")

    def answered(request_id: str, content: bytes) -> list[PageAnswer]:
        answer = pages_of(request_id, content)[0]
        answer.raw_response = b'{"code": 0}'
        return [answer]

    plan = StubPlan(pages_of=answered)
    async with stub_preprocess(plan) as target:
        ended = await ocrmux("recognize", tmp_path / "a.png", "--raw", "--target", target)
        refused = await ocrmux("recognize", tmp_path / "a.png", "--raw", "--format", "txt", "--target", target)
    assert json.loads(ended.out)["raw_response"] == '{"code": 0}'
    assert [config.recognition.include_raw_response for config in plan.configs] == [True]
    assert (refused.status, refused.err) == (2, "ocrmux: --raw needs --format jsonl\n")


async def test_the_help_names_the_profiles() -> None:
    """A person need not look them up."""
    ended = await ocrmux("recognize", "--help", env=os.environ | {"COLUMNS": "160"})
    assert "auto|document|photo|receipt|classic|none" in ended.out


async def test_a_failed_page_tells_who_failed_it(folder: Path) -> None:
    """Provider, attempts, fallbacks and timings stand in the record of a failure too, where the server tells them."""

    def refused(request_id: str, content: bytes) -> list[PageAnswer]:
        answer = pages_of(request_id, b"error=PROVIDER_TIMEOUT")[0]
        answer.provenance.provider, answer.provenance.attempts = "slow", 3
        answer.provenance.fallbacks.add(provider="first", reason="PROVIDER_UNAVAILABLE")
        answer.provenance.timings.total_ms = 4000
        return [answer]

    async with stub_preprocess(StubPlan(pages_of=refused)) as target:
        ended = await ocrmux("recognize", folder / "a.png", "--target", target, "--quiet")
    record = ended.records[0]
    assert (record["status"], record["provider"], record["attempts"]) == ("INVALID_ARGUMENT", "slow", 3)
    assert record["fallbacks"] == [{"provider": "first", "reason": "PROVIDER_UNAVAILABLE"}]
    assert record["timings_ms"]["total"] == 4000


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


async def test_providers_are_shown_for_a_person_and_as_json() -> None:
    """80 columns without a broken word for a person, everything in JSON for a program."""
    async with stub_gateway() as target:
        table = await ocrmux("providers", "--target", target, env=os.environ | {"COLUMNS": "80"})
        listed = await ocrmux("providers", "--target", target, "--json")
    assert table.status == 0
    assert [line.rstrip() for line in table.out.splitlines()] == [
        "stub  serving  embedded  stub-1",
        "  text       images ≤ 4 MiB, 15–4096 px",
        "             quota 50/s, 4 at once; now 0 running, 2 waiting",
        "  languages  l0, l1, l2, l3, l4, l5, l6, l7, l8, l9 and 2 more",
        "",
        "bare  not configured  unspecified",
        "  why  no [credentials]",
        "",
        "routes, first choice first",
        "  default, text  stub → bare",
    ]
    providers = json.loads(listed.out)["providers"]
    assert [provider["name"] for provider in providers] == ["stub", "bare"]
    assert len(providers[0]["languages"]) == 12


async def test_the_progress_bar_moves_with_a_documents_pages(tmp_path: Path) -> None:
    """One long document is no bar that stands still: its pages are told, and count as shares of it."""
    (tmp_path / "long.pdf").write_bytes(b"pages=40")
    summary = RunSummary()
    for answer in pages_of("1", b"pages=40")[:10]:
        summary.count(PageRecord.of("long.pdf", answer), last_page=answer.last_page)
    assert (summary.sources_done, summary.sources_under_way, summary.pages) == (0, 0.25, 10)
    for answer in pages_of("1", b"pages=40")[10:]:
        summary.count(PageRecord.of("long.pdf", answer), last_page=answer.last_page)
    assert (summary.sources_done, summary.sources_under_way, summary.pages) == (1, 0, 40)
    master, slave = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "140", "LINES": "40"}
    async with stub_preprocess(StubPlan()) as target:
        process = await started("recognize", tmp_path, "--target", target, stderr=slave, env=environment)
        os.close(slave)
        await asyncio.wait_for(process.communicate(), 30)
    assert "1/1 (40 pages)" in await asyncio.to_thread(_drain, master)


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
