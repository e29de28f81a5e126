"""Every client does in every scenario of ``tests/conformance`` what the scenario expects."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.clients.conformance.driver_run import DriverFailed
from tests.clients.conformance.drivers import DRIVERS, Driver
from tests.clients.conformance.live_pair import PairPool, pair_pool
from tests.clients.conformance.scenario import Scenario, every_scenario
from tests.clients.conformance.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PairPool]:
    """The pairs of all scenarios; those that ask for the same servers share them."""
    async with pair_pool(tmp_path_factory.mktemp("pairs")) as made:
        yield made


@pytest.mark.parametrize("driver", DRIVERS, ids=lambda driver: driver.name)
@pytest.mark.parametrize("scenario", every_scenario(), ids=lambda scenario: scenario.name)
async def test_client(scenario: Scenario, driver: Driver, pool: PairPool, tmp_path: Path) -> None:
    """The client of each language does what the scenario says."""
    driver.require()
    try:
        found, run = await Stage(scenario, driver, pool, tmp_path).differences()
    except DriverFailed as failure:
        pytest.fail(f"{scenario.summary}\n{failure}", pytrace=False)
    if found:
        end, seen = f"end: {run.end}", "\n".join(run.said.splitlines()[-20:])
        pytest.fail("\n".join([scenario.summary, *(f"- {each}" for each in found), end, seen]), pytrace=False)
