"""``ocrmux compare`` as a process, against a strict stub over loopback."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from pathlib import Path

import grpc
import pytest
from PIL import Image

from ocrmux.ocr.v1.recognition_pb2 import CACHE_POLICY_BYPASS, ID_DOCUMENT_PASSPORT, PageAnswer
from tests.clients.python.test_client_command_line import ocrmux, started
from tests.fakes.stub_servers import StubPlan, item_error, pages_of, stub_gateway, stub_preprocess, text_page

SAMPLES = Path(__file__).resolve().parents[3] / "samples"
TEXTS = {"plain": "The quick brown fox", "sloppy": "The quick brovvn fox", "costly": "The quick brown fox"}


def answers(provider: str, request_id: str, content: bytes) -> list[PageAnswer]:
    """What each provider reads; ``costly`` has a price, and ``sloppy`` refuses what says so."""
    if provider == "sloppy" and content.startswith(b"refused"):
        status = item_error(grpc.StatusCode.UNAVAILABLE, "PROVIDER_UNAVAILABLE")
        return [PageAnswer(request_id=request_id, last_page=True, error=status)]
    pages = pages_of(request_id, content if content.startswith((b"pages=", b"error=")) else b"")
    for answer in pages:
        if answer.WhichOneof("outcome") == "document":
            text = TEXTS[provider] if answer.page < 2 else "same"
            answer.document.pages[0].CopyFrom(text_page(answer.page, text))
        answer.provenance.provider = provider
        answer.provenance.timings.provider_ms = {"plain": 20, "sloppy": 50, "costly": 400}[provider]
        if provider == "costly":
            answer.provenance.billed_units, answer.provenance.cost, answer.provenance.currency = 1, 0.0015, "USD"
    return pages


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Three sources: an image with its true text beside it, a document of two pages, and one that sloppy refuses."""
    folder = tmp_path / "scans"
    folder.mkdir()
    Image.new("RGB", (100, 40), "white").save(folder / "a.png")
    (folder / "a.txt").write_text("The quick brown fox\n")
    (folder / "b.pdf").write_bytes(b"pages=2")
    (folder / "c.png").write_bytes(b"refused by one")
    return folder


async def test_providers_stand_side_by_side(scans: Path) -> None:
    """One row a provider with agreement, errors, times and cost; the worst pages first, their words in brackets."""
    async with stub_preprocess(StubPlan(pages_by=answers)) as target:
        ended = await ocrmux(
            "compare", "scans", "--providers", "plain,sloppy", "--providers", "costly", "--target", target,
            env=os.environ | {"COLUMNS": "120"}, cwd=scans.parent,
        )  # fmt: skip
    assert ended.status == 1
    lines = [line.split() for line in ended.out.splitlines()]
    rows = {line[0]: line for line in lines[:6] if line and line[0] in TEXTS}
    assert rows["plain"][1:3] == ["4", "0"]
    assert rows["sloppy"][1:3] == ["3", "1"]
    assert rows["costly"][-2:] == ["0.006", "USD"]
    assert "10.5 %" in ended.out
    assert "0.0 %" in ended.out
    places = [line[0] for line in lines if line and line[0].startswith("scans/") and "%" in line]
    assert places == ["scans/c.png", "scans/a.png", "scans/b.pdf,", "scans/b.pdf,"]
    assert "not read by sloppy" in ended.out
    assert "sloppy differs most" in ended.out
    assert "The quick [-brown-] {+brovvn+} fox" in ended.out
    assert "1 of 4 pages have one" in ended.out
    assert "sloppy: scans/c.png: UNAVAILABLE PROVIDER_UNAVAILABLE" in ended.err
    assert "12 readings in" in ended.err
    assert "cost 0.006 USD" in ended.err


async def test_each_provider_is_asked_once_for_each_file_as_the_options_say(scans: Path) -> None:
    """Options of one provider go to that one only; the others are everybody's."""
    plan = StubPlan(pages_by=answers)
    async with stub_preprocess(plan) as target:
        ended = await ocrmux(
            "compare", scans / "a.png", "--providers", "plain,sloppy", "--target", target, "--no-cache", "--quiet",
            "--lang", "en,de", "--option", "detail=high", "--option", "sloppy:psm=6", "--set", "deskew.min_deg=1",
            "--region", "0,0,50,20", "--timeout", "9",
        )  # fmt: skip
    assert (ended.status, ended.err) == (0, "")
    configs = {config.recognition.provider: config for config in plan.configs}
    assert dict(configs["plain"].recognition.provider_options) == {"detail": "high"}
    assert dict(configs["sloppy"].recognition.provider_options) == {"detail": "high", "psm": "6"}
    for config in configs.values():
        assert config.recognition.cache_policy == CACHE_POLICY_BYPASS
        assert list(config.recognition.languages) == ["en", "de"]
        assert config.recognition.item_timeout.seconds == 9
        assert dict(config.normalization.overrides) == {"deskew.min_deg": "1"}
    assert [item.regions[0].width for item in plan.items] == [50, 50]


async def test_json_has_every_page_and_every_reading(scans: Path, tmp_path: Path) -> None:
    """The file holds each page with each provider's whole record; - puts it in the place of the tables."""
    out = tmp_path / "out.json"
    async with stub_preprocess(StubPlan(pages_by=answers)) as target:
        arguments = ("compare", scans, "--providers", "plain,costly", "--target", target, "--json")
        filed = await ocrmux(*arguments, out)
        printed = await ocrmux(*arguments, "-")
    told, again = json.loads(out.read_text()), json.loads(printed.out)
    assert "agreement" in filed.out
    assert told["providers"] == ["plain", "costly"]
    assert told["summary"]["pages"] == len(told["pages"]) == len(again["pages"]) == 4
    page = next(page for page in told["pages"] if page["source"].endswith("a.png"))
    assert page["pairs"] == [{"providers": ["plain", "costly"], "agreement": 1.0}]
    assert page["readings"]["plain"]["error_rate"] == 0.0
    assert page["readings"]["costly"]["document"]["pages"][0]["blocks"][0]["lines"][0]["text"] == TEXTS["costly"]
    assert told["summary"]["providers"]["costly"]["costs"] == {"USD": 0.006}
    assert told["summary"]["providers"]["costly"]["provider_ms"] == {"p50": 400.0, "p95": 400.0}


async def test_the_document_to_look_for_is_passed_on() -> None:
    """--document goes with --feature id to each provider, in recognize as in compare."""
    plan = StubPlan()
    async with stub_preprocess(plan) as target:
        arguments = (__file__, "--feature", "id", "--document", "passport", "--target", target)
        compared = await ocrmux("compare", *arguments, "--providers", "a,b")
        read = await ocrmux("recognize", *arguments, "--option", "side=front", "--provider", "a")
    assert (compared.status, read.status) == (0, 0)
    assert [config.recognition.id_document for config in plan.configs] == [ID_DOCUMENT_PASSPORT] * 3
    assert dict(plan.configs[2].recognition.provider_options) == {"side": "front"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--providers", "a"], "--providers wants 2 to 8 names, for example rapidocr,tesseract"),
        (["--providers", "a,a"], "--providers wants 2 to 8 names"),
        ([], "--providers"),
        (["--providers", "a,b", "--document", "passport"], "is said for the feature id only"),
        (["--providers", "a,b", "--document", "diploma"], "'diploma' is no identity document; there are identity-card"),
        (["--providers", "a,b", "--truth", "nowhere"], "--truth nowhere is no folder"),
        (["--providers", "a,b", "--truth", ".", "--feature", "table"], "--truth is text"),
        (["--providers", "a,b", "--html", "nowhere/x.html"], "--html nowhere/x.html cannot be written"),
        (["--providers", "a,b", "--html", "."], "--html . is no file"),
        (["--providers", "a,b", "--json", "nowhere/x.json"], "nowhere/x.json cannot be written"),
        (["--providers", "a,b", "--json", "/dev/full"], "/dev/full cannot be written: No space left on device"),
        (["--providers", "a,b", "--option", "psm"], "--option wants NAME=VALUE or PROVIDER:NAME=VALUE, not 'psm'"),
        (["--providers", "a,b", "--option", "c:psm=6"], "--option c:psm=6: c is none of a, b"),
        (["--providers", "a,b", "--no-cache", "--refresh"], "exclude each other"),
    ],
)
async def test_bad_usage_of_compare_is_told_before_anything_is_read(
    arguments: list[str], told: str, tmp_path: Path
) -> None:
    """Exit status 2 and a clear line; nothing is written."""
    ended = await ocrmux("compare", __file__, *arguments, cwd=tmp_path)
    assert ended.status == 2
    assert told in " ".join(ended.err.replace("│", " ").split())
    assert "Traceback" not in ended.err
    assert await asyncio.to_thread(lambda: list(tmp_path.iterdir())) == []


async def test_a_provider_that_nobody_knows_ends_the_comparison(scans: Path, tmp_path: Path) -> None:
    """What the server refuses as a whole is one line and exit status 2; a gateway is no preprocess service."""
    refusal = item_error(grpc.StatusCode.NOT_FOUND, "PROVIDER_UNKNOWN", "no provider is named 'nobody'")
    async with stub_preprocess(StubPlan(refuses_stream=refusal)) as target, stub_gateway() as gateway:
        html = tmp_path / "x.html"
        unknown = await ocrmux("compare", scans, "--providers", "nobody,else", "--target", target, "--html", html)
        wrong = await ocrmux("compare", scans, "--providers", "a,b", "--target", gateway)
    assert (unknown.status, unknown.out) == (2, "")
    assert unknown.err == "ocrmux: NOT_FOUND PROVIDER_UNKNOWN: no provider is named 'nobody'\n"
    assert not html.exists()
    assert wrong.status == 2
    assert f"{gateway} is no preprocess service" in wrong.err


async def test_an_interrupted_comparison_tells_what_is_done(tmp_path: Path) -> None:
    """SIGINT in mid-run: exit status 130, whole JSON and the table of the pages that all have read."""
    for index in range(12):
        (tmp_path / f"{index:02d}.png").write_bytes(b"x")
    out, html = tmp_path / "out.json", tmp_path / "out.html"
    plan = StubPlan(pages_by=answers, gated_after=8)
    async with stub_preprocess(plan) as target:
        process = await started(
            "compare", tmp_path, "--providers", "plain,sloppy", "--target", target, "--json", out, "--html", html,
            "--in-turn",
        )  # fmt: skip
        async with asyncio.timeout(30):
            while not (out.exists() and out.read_bytes().count(b'"source"') >= 4 * 3):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        process.send_signal(signal.SIGINT)
        printed, err = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 130
    assert b"interrupted; what is done is kept" in err
    assert len(json.loads(out.read_text())["pages"]) == 4
    assert b"00.png" in printed
    assert html.read_text().count("<article") == 4


async def test_in_turn_never_has_two_pages_in_work(tmp_path: Path) -> None:
    """One page is with one provider at any time, whatever the concurrency."""
    for index in range(6):
        (tmp_path / f"{index}.png").write_bytes(b"x")
    with_whom: list[str] = []

    def noted(provider: str, request_id: str, content: bytes) -> list[PageAnswer]:
        with_whom.append(f"{request_id} {provider}")
        return answers(provider, request_id, content)

    plan = StubPlan(pages_by=noted)
    async with stub_preprocess(plan) as target:
        ended = await ocrmux(
            "compare", tmp_path, "--providers", "sloppy,plain", "--in-turn", "--concurrency", "8", "--target", target
        )
    assert ended.status == 0
    assert with_whom == [f"{index:08d} {name}" for index in range(6) for name in ("sloppy", "plain")]
    assert plan.most_in_flight == 1
    assert "side by side" not in ended.out


async def test_a_reader_that_leaves_early_costs_no_file(scans: Path, tmp_path: Path) -> None:
    """``| head`` ends it quietly, and the HTML file is whole all the same."""
    html = tmp_path / "x.html"
    async with stub_preprocess(StubPlan(pages_by=answers)) as target:
        read_end, write_end = os.pipe()
        os.close(read_end)
        process = await started(
            "compare", scans, "--providers", "plain,costly", "--target", target, "--html", html, "-q", stdout=write_end
        )
        os.close(write_end)
        _, err = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, err) == (0, b"")
    assert html.read_text().endswith("</html>\n")


@pytest.mark.skipif(shutil.which("tesseract") is None, reason="the tesseract program is not installed")
async def test_the_embedded_engines_are_compared_with_nothing_running(tmp_path: Path) -> None:
    """compare starts the services itself: two engines read a sample, errors are told, and the page shows the boxes."""
    html = tmp_path / "x.html"
    ended = await ocrmux(
        "compare", SAMPLES / "letter.png", "--providers", "rapidocr,tesseract", "--html", html, "--json", "-",
        env=os.environ | {"GATEWAY_CACHE__DIR": str(tmp_path / "cache")},
    )  # fmt: skip
    assert (ended.status, "2 readings in" in ended.err) == (0, True)
    told = json.loads(ended.out)
    assert told["pages"][0]["pairs"][0]["agreement"] > 0.9
    assert 0 <= told["pages"][0]["readings"]["rapidocr"]["error_rate"] < 0.1
    assert told["pages"][0]["readings"]["tesseract"]["timings_ms"]["provider"] > 0
    page = html.read_text()
    assert page.count("data:image/jpeg;base64,") == 1
    assert page.count('<polygon class="box"') >= 2 * 8
    assert "<h3>truth</h3>" in page
