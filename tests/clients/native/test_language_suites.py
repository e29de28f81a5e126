"""Each language's own tests pass against a live pair, with none of them left out."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from scripts import toolchains
from tests.clients.native.language_suite import ROOT, SUITES, LanguageSuite
from tests.fakes.languages import require_toolchain
from tests.fakes.processes import pair

_SUITE_MAX_S = 280.0

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def live(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, str]]:
    """The pair with the embedded engine and the sample images, as the suites are told of them."""
    async with pair(tmp_path_factory.mktemp("pair"), workers="2") as (gateway, preprocess):
        yield {
            "OCRMUX_TEST_TARGET": preprocess.address,
            "OCRMUX_TEST_GATEWAY_TARGET": gateway.address,
            "OCRMUX_TEST_IMAGES": str(ROOT / "samples"),
        }


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.language)
async def test_language_suite(
    suite: LanguageSuite, live: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All tests of the language pass, those against the pair too, and none is skipped."""
    require_toolchain(suite.language)
    if not suite.built.exists():
        (pytest.fail if toolchains.strict() else pytest.skip)(f"the {suite.language} client is not built: make clients")
    status = await _ran(suite, live, tmp_path / "said")
    said = (tmp_path / "said").read_text(errors="replace")
    if status:
        pytest.fail(f"{' '.join(suite.command)} ended with {status}:\n{suite.failure(said)}", pytrace=False)
    closing = suite.closing_lines(said)
    assert closing, "nothing tells that a test has passed"
    assert not suite.left_out(said)
    with capsys.disabled():
        print("", *(f"{suite.language}: {line}" for line in closing), sep="\n")


async def _ran(suite: LanguageSuite, live: dict[str, str], log: Path) -> int:
    """Its exit status; ``log`` gets what it says. Killed with its children when it takes longer than it may."""
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *suite.command, cwd=suite.folder, env={**os.environ, **live}, start_new_session=True,
            stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        async with asyncio.timeout(_SUITE_MAX_S):
            return await process.wait()
    finally:
        if process.returncode is None:
            os.killpg(process.pid, 9)
            await process.wait()
