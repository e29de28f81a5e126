"""Tesseract as a process: found or not, bounded, and never left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ocr_gateway.errors import FieldInvalid, ProviderNotConfigured, ProviderUnavailable
from ocr_gateway.model import Feature, Page, ProviderCall, ProviderState
from ocr_gateway.providers.tesseract import TesseractProvider
from ocr_gateway.providers.tesseract_languages import default_models, language_of, model_of
from ocr_gateway.providers.tesseract_tsv import blocks_of
from tests.fakes.text_pages import text_page

PAGE = text_page(["Total amount 1234.56", "Invoice number 2024"])
TSV_HEAD = "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext"
# A stand-in for the program: answers the two questions, and then does what the test says with a page.
STAND_IN = """#!/bin/sh
case "$1" in
--version) echo "tesseract 5.9.9"; exit 0 ;;
--list-langs) printf 'List of available languages (2):\\neng\\nosd\\n'; exit 0 ;;
esac
echo $$ > "{pid_file}"
{behaviour}
"""


def call(*, languages: tuple[str, ...] = (), **options: str) -> ProviderCall:
    return ProviderCall(
        image=PAGE.png(),
        media_type="image/png",
        width=1,
        height=1,
        feature=Feature.TEXT,
        languages=languages,
        options=options,
    )


def lines_of(page: Page) -> list[str]:
    return [line.text for block in page.blocks for line in block.lines]


@pytest.fixture
def stand_in(tmp_path: Path) -> Callable[[str], tuple[str, Path]]:
    """Makes a program of this behaviour; gives its path and the file that will hold its process id."""

    def make(behaviour: str) -> tuple[str, Path]:
        program, pid_file = tmp_path / "tesseract", tmp_path / "pid"
        program.write_text(STAND_IN.format(pid_file=pid_file, behaviour=behaviour))
        program.chmod(0o755)
        return str(program), pid_file

    return make


def is_running(pid_file: Path) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)
        return True
    return False


def is_written(path: Path) -> bool:
    return path.exists() and bool(path.read_text().strip())


async def until_written(path: Path) -> None:
    async with asyncio.timeout(20):
        while not is_written(path):  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.01)


@pytest.mark.skipif(shutil.which("tesseract") is None, reason="the tesseract program is not installed")
async def test_the_segmentation_mode_is_an_option() -> None:
    """Mode 7 takes the page as one line, which is another reading than the default's."""
    provider = TesseractProvider()
    await provider.start()
    page = (await provider.recognize(call(languages=("en",)))).page
    assert lines_of(page) == [line.text for line in PAGE.lines]
    assert len(lines_of((await provider.recognize(call(languages=("en",), psm="7"))).page)) <= 1
    await provider.close()


@pytest.mark.skipif(shutil.which("tesseract") is None, reason="the tesseract program is not installed")
async def test_its_own_answer_comes_on_request() -> None:
    """The raw response is the program's TSV."""
    provider = TesseractProvider()
    await provider.start()
    asked = call()
    asked = ProviderCall(asked.image, "image/png", 1, 1, asked.feature, include_raw_response=True)
    assert (await provider.recognize(asked)).raw_response.startswith(TSV_HEAD.encode())
    await provider.close()


async def test_without_the_program_it_is_not_configured(tmp_path: Path) -> None:
    """The status names the program, and calls are refused."""
    provider = TesseractProvider(binary=str(tmp_path / "nowhere"))
    await provider.start()
    with pytest.raises(ProviderNotConfigured, match="nowhere"):
        await provider.recognize(call())
    assert provider.status.state is ProviderState.NOT_CONFIGURED
    await provider.close()


async def test_version_and_languages_are_found(stand_in: Callable[[str], tuple[str, Path]]) -> None:
    """Only languages count, and one that is not installed is refused with those that are."""
    program, _ = stand_in("cat > /dev/null")
    provider = TesseractProvider(binary=program)
    await provider.start()
    with pytest.raises(FieldInvalid, match="installed are en"):
        await provider.recognize(call(languages=("de",)))
    assert provider.status.model == "tesseract-5.9.9"
    assert provider.description.languages == ("en",)
    await provider.close()


@pytest.mark.parametrize("mode", ["0", "2", "14", "x", ""])
async def test_a_mode_that_reads_nothing_is_refused(mode: str) -> None:
    """Modes without text, and what is no mode."""
    with pytest.raises(FieldInvalid, match="psm"):
        await TesseractProvider().recognize(call(psm=mode))


async def test_a_cancelled_page_ends_its_process(stand_in: Callable[[str], tuple[str, Path]]) -> None:
    """When the cancelled call is over, the process is gone, and the slot is free."""
    program, pid_file = stand_in("exec sleep 600")
    provider = TesseractProvider(binary=program)
    await provider.start()
    task = asyncio.create_task(provider.recognize(call()))
    await until_written(pid_file)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not is_running(pid_file)
    assert (provider.load.in_progress, provider.load.waiting) == (0, 0)
    await provider.close()


async def test_closing_ends_the_processes(stand_in: Callable[[str], tuple[str, Path]]) -> None:
    """The page being read, and the one that waits, are refused as unavailable."""
    program, pid_file = stand_in("exec sleep 600")
    provider = TesseractProvider(binary=program)
    await provider.start()
    tasks = [asyncio.create_task(provider.recognize(call())) for _ in range(2)]
    await until_written(pid_file)
    await provider.close()
    assert [type(e) for e in await asyncio.gather(*tasks, return_exceptions=True)] == [ProviderUnavailable] * 2
    assert not is_running(pid_file)


async def test_a_page_that_takes_too_long_is_given_up(stand_in: Callable[[str], tuple[str, Path]]) -> None:
    """The process is killed at its time limit."""
    program, pid_file = stand_in("exec sleep 600")
    provider = TesseractProvider(binary=program, timeout_s=0.5)
    await provider.start()
    with pytest.raises(ProviderUnavailable, match=r"longer than 0\.5 s"):
        await provider.recognize(call())
    assert not is_running(pid_file)
    await provider.close()


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ("echo 'out of luck' >&2; exit 3", "status 3: out of luck"),
        ("cat > /dev/null; echo head; echo no row", "not understood"),
        ("cat > /dev/null; exec cat /dev/zero", "more than"),
    ],
)
async def test_a_failing_program_is_unavailable(
    stand_in: Callable[[str], tuple[str, Path]], behaviour: str, words: str
) -> None:
    """A bad status, an answer that is none, and one without end are told as such."""
    program, _ = stand_in(behaviour)
    provider = TesseractProvider(binary=program)
    await provider.start()
    with pytest.raises(ProviderUnavailable, match=words):
        await provider.recognize(call())
    assert provider.load.in_progress == 0
    await provider.close()


def test_rows_become_blocks_with_joined_lines() -> None:
    """Words of Chinese are joined without blanks, others with; what holds no text is left out."""
    rows = [
        "1\t1\t0\t0\t0\t0\t0\t0\t200\t100\t-1\t",
        "2\t1\t1\t0\t0\t0\t5\t5\t90\t20\t-1\t",
        "3\t1\t1\t1\t0\t0\t5\t5\t90\t20\t-1\t",
        "4\t1\t1\t1\t1\t0\t5\t5\t90\t20\t-1\t",
        "5\t1\t1\t1\t1\t1\t5\t5\t20\t20\t96.5\t价格",
        "5\t1\t1\t1\t1\t2\t25\t5\t20\t20\t80\t合计",
        "5\t1\t1\t1\t1\t3\t50\t5\t20\t20\t90\tEUR",
        "5\t1\t1\t1\t1\t4\t75\t5\t20\t20\t90\t12",
        "2\t1\t2\t0\t0\t0\t5\t50\t90\t20\t-1\t",
        "4\t1\t2\t1\t1\t0\t5\t50\t90\t20\t-1\t",
        "5\t1\t2\t1\t1\t1\t5\t50\t90\t20\t95\t ",
    ]
    blocks = blocks_of("\n".join([TSV_HEAD, *rows]))
    assert len(blocks) == 1
    line = blocks[0].lines[0]
    assert line.text == "价格合计 EUR 12"
    assert line.polygon == ((5.0, 5.0), (95.0, 5.0), (95.0, 25.0), (5.0, 25.0))
    assert line.confidence == pytest.approx((0.965 * 2 + 0.8 * 2 + 0.9 * 3 + 0.9 * 2) / 9)
    assert [word.text for word in line.words] == ["价格", "合计", "EUR", "12"]


@pytest.mark.parametrize(
    ("language", "model"),
    [("en", "eng"), ("en-GB", "eng"), ("zh", "chi_sim"), ("zh-Hans", "chi_sim"), ("zh-CN", "chi_sim"),
     ("zh-Hant-HK", "chi_tra"), ("zh_TW", "chi_tra"), ("ja", "jpn"), ("de-AT", "deu"), ("tlh", None), ("", None)],
)  # fmt: skip
def test_languages_have_their_models(language: str, model: str | None) -> None:
    """BCP 47 to Tesseract's names; regions matter to Chinese alone."""
    assert model_of(language) == model


def test_the_default_reads_english_and_chinese() -> None:
    """As far as they are installed; otherwise the first language that is."""
    assert default_models({"chi_sim", "deu", "eng", "osd"}) == ["eng", "chi_sim"]
    assert default_models({"deu", "osd"}) == ["deu"]
    assert language_of("chi_sim") == "zh-Hans"
    assert language_of("nor") in ("nb", "nn", "no")
