"""Providers over the network before the stand-ins of their vendors, which all modules here share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio

from tests.contracts.remote_cases import RemoteCase
from tests.contracts.remote_desk import Desk, OpenDesk, StandIns, desk_of


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[StandIns]:
    async with StandIns.in_folder(tmp_path_factory.mktemp("standins")) as stand_ins:
        yield stand_ins


@pytest_asyncio.fixture(loop_scope="package")
async def open_desk(case: RemoteCase, stand_ins: StandIns) -> AsyncIterator[OpenDesk]:
    """Opens a desk with settings of the provider's, for as long as the test runs."""
    async with AsyncExitStack() as stack:

        async def opened(**settings: Any) -> Desk:
            return await stack.enter_async_context(desk_of(case, await stand_ins.of(case), **settings))

        yield opened


@pytest_asyncio.fixture(loop_scope="package")
async def desk(open_desk: OpenDesk) -> Desk:
    return await open_desk()
