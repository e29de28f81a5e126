"""``ocrmux normalize`` as a process, against the real preprocess service."""

from __future__ import annotations

import asyncio
import io
import json
import os
import pty
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from rich.console import Console

from ocr_gateway.model import ImageLimits
from ocrmux_client.exporters.normalization import NormalizationTable
from ocrmux_client.normalization_record import NormalizationRecord
from tests.fakes.documents import pdf_of, text_page
from tests.fakes.measured_pages import Writing, skewed, written_page
from tests.fakes.processes import service
from tests.fakes.providers import ScriptedProvider
from tests.fakes.servers import running_pair
from tests.fakes.stub_servers import StubPlan, stub_gateway, stub_preprocess
from tests.fakes.text_pages import png_of
from tests.fakes.text_pages import text_page as drawn_page

COMMAND = (sys.executable, "-c", "from ocrmux_client.cli import main; main()", "normalize")
SMALL = Writing(lines=12, width=800, height=700)


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that has ended."""

    status: int
    out: str
    err: str

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


async def normalize(*arguments: str | Path, **options: Any) -> Ended:
    pipes = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.PIPE, "stdin": asyncio.subprocess.DEVNULL}
    process = await asyncio.create_subprocess_exec(*COMMAND, *map(str, arguments), **(pipes | options))
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return Ended(process.returncode, (out or b"").decode(), (err or b"").decode())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A page that needs nothing, one that falls by 8 degrees, a PDF of three pages, and text that is called .png."""
    scans = tmp_path / "scans"
    (scans / "deep").mkdir(parents=True)
    (scans / "a.png").write_bytes(drawn_page(["A plain page of text", "that needs nothing"] * 4).png())
    (scans / "b.png").write_bytes(b"no image at all")
    (scans / "c.pdf").write_bytes(pdf_of(*(text_page(f"Page {number} of three", "and more") for number in (1, 2, 3))))
    (scans / "deep" / "d.png").write_bytes(png_of(skewed(written_page(SMALL, 3), 8.0)))
    return scans


async def test_each_page_becomes_a_picture_and_a_record(folder: Path, tmp_path: Path) -> None:
    """Off a terminal: one JSON line a page, in order; the bad file between good ones is told and costs only itself."""
    out = tmp_path / "pages"
    async with service("preprocess_service", "PREPROCESS_", tmp_path) as running:
        ended = await normalize(folder, "--out", out, "--target", running.address)
    told = [(Path(each["source"]).name, each["page"], each["page_count"], each["status"]) for each in ended.records]
    assert told == [
        ("a.png", 1, 1, "OK"),
        ("b.png", 0, None, "INVALID_ARGUMENT"),
        ("c.pdf", 1, 3, "OK"),
        ("c.pdf", 2, 3, "OK"),
        ("c.pdf", 3, 3, "OK"),
        ("d.png", 1, 1, "OK"),
    ]
    plain, bad, rendered, *_, level = ended.records
    assert (out / "a.png.png").read_bytes() == (folder / "a.png").read_bytes()
    assert (plain["steps"], plain["media_type"], plain["page_size"]) == ([], "image/png", plain["source_size"])
    assert (bad["file"], bad["page_size"], bad["measures"], bad["steps"]) == (None, None, None, [])
    assert bad["message"]
    for record in ended.records:
        if record["file"] is not None:
            with Image.open(record["file"]) as picture:
                assert picture.size == (record["page_size"]["width"], record["page_size"]["height"])
            assert (out / Path(record["file"]).name).stat().st_size == record["bytes"]
            assert record["preprocess_ms"] > 0
    assert level["measures"]["skew_deg"] == pytest.approx(8.0, abs=0.5)
    assert "deskew" in [step["name"] for step in level["steps"]]
    assert (ended.status, rendered["page_count"]) == (1, 3)
    names = sorted(path.name for path in out.iterdir())
    assert [name.rpartition(".")[0] for name in names] == [
        "a.png",
        "c.pdf.page-1",
        "c.pdf.page-2",
        "c.pdf.page-3",
        "deep__d.png",
    ]
    assert ended.err.startswith(f"not normalised:\n  {folder}/b.png: INVALID_ARGUMENT ")
    assert ended.err.splitlines()[-1].startswith("6 pages in ")
    assert ended.err.splitlines()[-1].endswith(f" 1 error, 5 pictures in {out}")


async def test_a_comparison_shows_both_with_the_outline_on_the_source(tmp_path: Path) -> None:
    """Source and result stand side by side, at most 1600 px wide; the outline that was found is drawn in red."""
    paper = Image.fromarray(written_page(Writing(lines=24, width=900, height=1200), 5)).convert("RGB")
    table = Image.new("RGB", (1500, 1700), (52, 40, 34))
    table.paste(paper, (280, 240))
    table.save(tmp_path / "photo.png")
    (tmp_path / "three.pdf").write_bytes(pdf_of(text_page("One", "page"), text_page("Two", "pages")))
    out = tmp_path / "pages"
    async with service("preprocess_service", "PREPROCESS_", tmp_path) as running:
        ended = await normalize(
            tmp_path / "photo.png", tmp_path / "three.pdf", "--out", out, "--compare", "--target", running.address
        )
    assert ended.status == 0
    compared = sorted(path.name for path in out.iterdir() if ".compare." in path.name)
    assert compared == ["photo.png.compare.jpg", "three.pdf.page-1.compare.jpg", "three.pdf.page-2.compare.jpg"]
    outline = ended.records[0]["measures"]["outline"]
    assert outline[0] == pytest.approx([280, 240], abs=12)
    with Image.open(out / "photo.png.compare.jpg") as picture:
        assert picture.width <= 1600
        scale = (1600 - 48) // 2 / 1500
        at = (round(16 + outline[0][0] * scale), round(30 + (outline[0][1] + 600) * scale))
        near = [picture.getpixel((at[0] + dx, at[1])) for dx in range(-3, 4)]
    assert any(isinstance(pixel, tuple) and pixel[0] > 150 > 90 > pixel[1] for pixel in near)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("deskew.min_deg=95", "cannot be applied: 95.0 is not within 0..45"),
        ("denoise.method=magic", "'magic' is none of measured, despeckle, median"),
        ("deskew.least=1", "the override 'deskew.least' cannot be applied: known are "),
    ],
)
async def test_what_the_service_cannot_set_is_one_line(folder: Path, tmp_path: Path, override: str, told: str) -> None:
    """An unknown parameter, or a value out of its range, ends the run before any page with what would do."""
    async with service("preprocess_service", "PREPROCESS_", tmp_path) as running:
        ended = await normalize(folder, "--out", tmp_path / "pages", "--set", override, "--target", running.address)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("ocrmux: INVALID_ARGUMENT FIELD_INVALID: the override ")
    assert told in ended.err
    assert ended.err.count("\n") == 1


async def test_a_set_parameter_changes_the_page(folder: Path, tmp_path: Path) -> None:
    """--set is repeatable, and of two values for one parameter the later holds."""
    page = folder / "deep" / "d.png"
    async with service("preprocess_service", "PREPROCESS_", tmp_path) as running:
        left = await normalize(
            page, "--out", tmp_path / "left", "--set", "deskew.when=never", "--target", running.address
        )
        sets = ("--set", "deskew.when=never", "--set", "binarize.when=always", "--set", "deskew.when=needed")
        done = await normalize(page, "--out", tmp_path / "done", *sets, "--target", running.address)
    assert "deskew" not in [step["name"] for step in left.records[0]["steps"]]
    assert {"deskew", "binarize"} <= {step["name"] for step in done.records[0]["steps"]}


async def test_pages_are_made_for_a_provider(tmp_path: Path) -> None:
    """--provider fits pages to its limits; one that is not known is told with those that are."""
    (tmp_path / "a.png").write_bytes(png_of(written_page(SMALL, 1)))
    small = ScriptedProvider(name="small", limits=ImageLimits(max_side_px=400))
    async with running_pair(small) as pair:
        target = ("--target", pair.server.address)
        fitted = await normalize(tmp_path / "a.png", "--out", tmp_path / "x", "--provider", "small", *target)
        unknown = await normalize(tmp_path / "a.png", "--out", tmp_path / "x", "--provider", "none", *target)
    assert fitted.records[0]["page_size"]["width"] == 400
    assert unknown.err == "ocrmux: NOT_FOUND PROVIDER_UNKNOWN: no provider is named 'none'; known are small\n"
    assert unknown.status == 2


async def test_a_locked_document_is_opened_with_its_password(tmp_path: Path) -> None:
    """Without the password the end says how to give it; with it the pages are made, and can be compared."""
    locked = tmp_path / "locked.pdf"
    locked.write_bytes(pdf_of(text_page("Secret"), user_password="key"))
    environment = os.environ | {"OCRMUX_PASSWORD": "key"}
    async with service("preprocess_service", "PREPROCESS_", tmp_path) as running:
        target = ("--target", running.address)
        refused = await normalize(locked, "--out", tmp_path / "x", *target)
        opened = await normalize(locked, "--out", tmp_path / "x", "--compare", *target, env=environment)
    assert (refused.status, refused.records[0]["reason"]) == (1, "PASSWORD_REQUIRED")
    assert "encrypted documents are opened with --password TEXT, or OCRMUX_PASSWORD" in refused.err
    assert (opened.status, len(list((tmp_path / "x").iterdir()))) == (0, 2)


async def test_without_a_target_the_preprocess_service_alone_is_started(folder: Path, tmp_path: Path) -> None:
    """No gateway is needed for pages that are made for nobody in particular."""
    ended = await normalize(folder / "a.png", "--out", tmp_path / "x", "--profile", "document", "-v")
    assert (ended.status, ended.records[0]["status"]) == (0, "OK")
    told = ended.err.splitlines()[0]
    assert told.startswith("services at 127.0.0.1:")
    assert " and " not in told


async def test_a_terminal_gets_a_table(folder: Path, tmp_path: Path) -> None:
    """Source, page, what was measured and done, sizes and time stand in columns; nothing of it is JSON."""
    master, slave = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "150"}
    async with service("preprocess_service", "PREPROCESS_", tmp_path) as running:
        arguments = ("scans/deep", "scans/a.png", "scans/b.png", "--out", "x", "--target", running.address, "-q")
        ended = await normalize(*arguments, stdout=slave, env=environment, cwd=tmp_path)
    os.close(slave)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", await asyncio.to_thread(_drain, master))
    rows = [line.split() for line in shown.splitlines()]
    assert ended.status == 1
    assert rows[0] == ["source", "page", "measured", "→", "done", "pixels", "time"]
    assert rows[1][:2] == ["scans/deep/d.png", "1/1"]
    row = " ".join(rows[1])
    assert "skew 8" in row
    assert "→ deskew" in row
    assert row.endswith(" ms")
    assert "as it came" in " ".join(rows[2])
    assert rows[3][:3] == ["scans/b.png", "-", "INVALID_ARGUMENT"]


async def test_jsonl_is_had_on_a_terminal_and_a_table_off_it(folder: Path, tmp_path: Path) -> None:
    """--format says it, whatever standard output is."""
    async with service("preprocess_service", "PREPROCESS_", tmp_path) as running:
        target = ("--target", running.address)
        ended = await normalize(folder / "a.png", "--out", tmp_path / "x", "--format", "table", *target)
    assert ended.out.split()[:2] == ["source", "page"]
    assert "as it came" in " ".join(ended.out.split())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([__file__], "Missing option '--out'"),
        (["gone.png", "--out", "x"], "ocrmux: there is no file or folder gone.png"),
        ([__file__, "--out", "x", "--set", "deskew"], "--set wants STEP.PARAMETER=VALUE, for example deskew.min_deg=1"),
        ([__file__, "--out", "x", "--set", "deskew.when="], "not 'deskew.when='"),
        ([__file__, "--out", "x", "--set", "=1"], "not '=1'"),
        ([__file__, "--out", __file__], "is no folder"),
        ([__file__, "--out", "x", "--format", "csv"], "'csv'"),
        ([__file__, "--out", "x", "--target", "nonsense"], "--target wants HOST:PORT"),
        ([__file__, "--out", str(Path(__file__).parent)], "itself; results go to another folder"),
    ],
)
async def test_bad_usage_is_exit_status_2_with_a_clear_line(arguments: list[str], told: str, tmp_path: Path) -> None:
    """What cannot be started as asked is told before anything is started or written."""
    ended = await normalize(*arguments, cwd=tmp_path)
    assert ended.status == 2
    assert told in " ".join(ended.err.replace("│", " ").split())
    assert "Traceback" not in ended.err
    assert await asyncio.to_thread(lambda: list(tmp_path.iterdir())) == []


async def test_overrides_are_sent_with_a_recognition(tmp_path: Path) -> None:
    """recognize --set goes to the service as it is; a malformed one starts nothing."""
    (tmp_path / "a.png").write_bytes(b"a")
    plan = StubPlan()
    recognize = (*COMMAND[:-1], "recognize", str(tmp_path / "a.png"))
    async with stub_preprocess(plan) as target:
        statuses = []
        for sets in (("--set", "scale.text_px=30", "--set", "deskew.when=never"), ("--set", "scale=30")):
            process = await asyncio.create_subprocess_exec(
                *recognize,
                *sets,
                "--target",
                target,
                "-q",
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            _, err = await asyncio.wait_for(process.communicate(), 30)
            statuses.append(process.returncode)
    assert statuses == [0, 2]
    assert dict(plan.configs[0].normalization.overrides) == {"scale.text_px": "30", "deskew.when": "never"}
    assert err == b"ocrmux: --set wants STEP.PARAMETER=VALUE, for example deskew.min_deg=1, not 'scale=30'\n"


async def test_a_recognition_that_cannot_be_set_so_is_one_line(tmp_path: Path) -> None:
    """The service's words for a value out of range come through the pair, and nothing is read."""
    (tmp_path / "a.png").write_bytes(png_of(written_page(SMALL, 1)))
    engine = ScriptedProvider()
    async with running_pair(engine) as pair:
        process = await asyncio.create_subprocess_exec(
            *(*COMMAND[:-1], "recognize", str(tmp_path / "a.png"), "--set", "scale.text_px=1000"),
            *("--target", pair.server.address),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), 30)
    told = "the override 'scale.text_px' cannot be applied: 1000.0 is not within 4..200"
    assert (process.returncode, out, engine.calls) == (2, b"", [])
    assert err.decode() == f"ocrmux: INVALID_ARGUMENT FIELD_INVALID: {told}\n"


async def test_paths_come_from_standard_input(folder: Path, tmp_path: Path) -> None:
    """A name that is gone fails alone, and the folder of results may be the one worked in."""
    names = f"{folder / 'a.png'}\n{folder / 'gone.png'}\n".encode()
    async with service("preprocess_service", "PREPROCESS_", tmp_path) as running:
        process = await asyncio.create_subprocess_exec(
            *(*COMMAND, "-", "--out", ".", "--target", running.address),
            cwd=tmp_path,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(names), 30)
    assert process.returncode == 1
    assert [json.loads(line)["status"] for line in out.splitlines()] == ["OK", "NOT_FOUND"]
    assert b"gone.png: NOT_FOUND SOURCE_UNREADABLE" in err
    assert (tmp_path / "scans__a.png.png").exists()


async def test_the_wrong_kind_of_server_is_exit_status_2(folder: Path, tmp_path: Path) -> None:
    """A gateway where the preprocess service belongs is told in one plain line."""
    async with stub_gateway() as gateway:
        ended = await normalize(folder / "a.png", "--out", tmp_path / "x", "--target", gateway)
    assert ended.status == 2
    assert ended.err.startswith(f"ocrmux: {gateway} is no preprocess service, perhaps a gateway; ")


def test_a_long_path_keeps_its_end_in_the_table() -> None:
    """At 80 columns a row stays a row: of the path the file's name is what matters."""
    table = NormalizationTable(Console(width=80))
    path = "/a/very/long/way/to/it/发票.png"
    row = table.piece(NormalizationRecord(path, 0, None, "NOT_FOUND", "", "gone", None, None))
    assert row.startswith("…")
    assert "/发票.png " in row
    assert row.count("\n") == 1


def test_a_source_that_failed_has_no_sizes_and_no_time() -> None:
    """Its row tells code and reason where the steps would stand, its JSON line the words too."""
    record = NormalizationRecord("a.png", 0, None, "INVALID_ARGUMENT", "IMAGE_EMPTY", "it is empty", None, None)
    assert (record.numbered, record.measured, record.done) == ("-", "", "INVALID_ARGUMENT IMAGE_EMPTY")
    assert (record.sizes, record.took, record.place) == ("", "", "a.png")
    assert json.load(io.StringIO(record.as_line()))["message"] == "it is empty"


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
