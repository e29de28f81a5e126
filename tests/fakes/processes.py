"""The services as processes of their own, as they run in production."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

START_S = 60.0
STOP_S = 40.0
_NOTICE_S = 0.5
_LAST_LINES = 40


@dataclass(slots=True)
class ServiceUnderTest:
    """A process that serves at ``address``; ``log`` is its standard error."""

    process: asyncio.subprocess.Process
    address: str
    log: Path

    @property
    def rss_mb(self) -> float:
        """Resident memory of the process and its children, MB (10^6 bytes)."""
        root = psutil.Process(self.process.pid)
        return sum(each.memory_info().rss for each in (root, *root.children(recursive=True))) / 1e6

    @property
    def cpu_s(self) -> float:
        """Processor time that the process has used, seconds, by the kernel."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    async def ended(self, timeout_s: float = STOP_S) -> int:
        """Its exit status, once it has ended."""
        async with asyncio.timeout(timeout_s):
            return await self.process.wait()


@asynccontextmanager
async def service(
    module: str, prefix: str, folder: Path, *, listen: str = "127.0.0.1:0", **env: str
) -> AsyncIterator[ServiceUnderTest]:
    """``python -m module`` on a free port, or on that of ``listen``; ended by SIGTERM, and killed when that does not
    help.

    When it has ended by itself with another status than 0, what is raised within tells the status and its last words.
    Settings are given by their names without the prefix; other variables by their whole names in upper case.
    """
    ready, log = folder / f"{module}.addr", folder / f"{module}.log"
    settings = {f"{prefix}{key.upper()}" if key.islower() else key: value for key, value in env.items()}
    settings |= {f"{prefix}READY_FILE": str(ready), f"{prefix}LISTEN": listen}
    ready.unlink(missing_ok=True)  # of one that was killed
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, stdout=output, stderr=output, env={**os.environ, **settings}
        )
    try:
        running = ServiceUnderTest(process, await _address(process, ready, log), log)
        try:
            yield running
        except Exception as error:
            await _note_its_end(error, module, running)
            raise
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(STOP_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


@asynccontextmanager
async def pair(
    folder: Path, *, gateway_module: str = "ocr_gateway", gateway: dict[str, str] | None = None, **preprocess: str
) -> AsyncIterator[tuple[ServiceUnderTest, ServiceUnderTest]]:
    """The gateway and the preprocess service in front of it. The gateway's store lies in ``folder``."""
    async with AsyncExitStack() as stack:
        below = await stack.enter_async_context(
            service(gateway_module, "GATEWAY_", folder, cache__dir=str(folder / "cache"), **(gateway or {}))
        )
        above = await stack.enter_async_context(
            service("preprocess_service", "PREPROCESS_", folder, gateway_target=below.address, **preprocess)
        )
        yield below, above


async def _note_its_end(error: Exception, module: str, service_: ServiceUnderTest) -> None:
    """A caller hears of its end sooner than its parent, so there is a moment to wait."""
    with suppress(TimeoutError):
        status = await service_.ended(_NOTICE_S)
        if status:
            words = "\n".join(service_.log.read_text(errors="replace").splitlines()[-_LAST_LINES:])
            error.add_note(f"{module} has ended with status {status}, its last words:\n{words}")


async def _address(process: asyncio.subprocess.Process, ready: Path, log: Path) -> str:
    async with asyncio.timeout(START_S):
        while not ready.exists():  # noqa: ASYNC240 - another process makes the file
            if process.returncode is not None:
                raise RuntimeError(f"ended with {process.returncode}:\n{log.read_text()}")  # noqa: ASYNC240
            await asyncio.sleep(0.02)
    return ready.read_text()  # noqa: ASYNC240
