"""What a test is told of a service that ends while it is used."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.processes import ServiceUnderTest, service

SETTINGS = {"providers__rapidocr__workers": "0", "cache__dir": ""}


async def fails(folder: Path, *, killed: bool) -> None:
    """As a test that uses a service and fails, because the service was killed or by itself."""
    async with service("ocr_gateway", "GATEWAY_", folder, **SETTINGS) as running:
        if killed:
            _kill(running)
        raise ConnectionError("the test's own")


def _kill(running: ServiceUnderTest) -> None:
    with running.log.open("a") as log:
        log.write("its last words\n")
    running.process.kill()


async def test_a_service_that_ends_is_told_with_its_status_and_last_words(tmp_path: Path) -> None:
    """An error that is raised while the service is used carries both."""
    with pytest.raises(ConnectionError) as failed:
        await fails(tmp_path, killed=True)
    (note,) = failed.value.__notes__
    assert note.startswith("ocr_gateway has ended with status -9, its last words:\n")
    assert note.endswith("its last words")


async def test_nothing_is_told_of_a_service_that_runs(tmp_path: Path) -> None:
    """An error that has nothing to do with it stays as it is."""
    with pytest.raises(ConnectionError) as failed:
        await fails(tmp_path, killed=False)
    assert not hasattr(failed.value, "__notes__")
