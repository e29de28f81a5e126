"""The tries of one request."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, TypeVar

import grpc

from ocrmux_client.backoff import Backoff
from ocrmux_client.errors import OcrMuxError, client_closed

T = TypeVar("T")


class Attempts:
    """Tries within one time limit and one count of failures; ``async with``, for one use.

    What is still running after ``timeout_s`` seconds is cancelled, and OcrMuxError DEADLINE_EXCEEDED raised.
    """

    def __init__(self, backoff: Backoff, timeout_s: float) -> None:
        self._backoff = backoff
        self._timeout_s = timeout_s
        self._ends_s = asyncio.get_running_loop().time() + timeout_s
        self._limit = asyncio.timeout_at(self._ends_s)
        self._failures = 0
        self._last: OcrMuxError | None = None

    async def __aenter__(self) -> Self:
        await self._limit.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._limit.__aexit__(kind, error, trace)
        except TimeoutError as timeout:
            last = f"; the last try: {self._last}" if self._last is not None else ""
            message = f"no answer within {self._timeout_s:g} s{last}"
            raise OcrMuxError(grpc.StatusCode.DEADLINE_EXCEEDED, "", message) from timeout

    @property
    def left_s(self) -> float | None:
        """Seconds until the limit; None where there is none."""
        if math.isinf(self._ends_s):
            return None
        return max(0.001, self._ends_s - asyncio.get_running_loop().time())

    async def result(self, call: Callable[[], Awaitable[T]]) -> T:
        """What the call gives; passing failures are tried again as the backoff says. Raises OcrMuxError."""
        while True:
            try:
                return await call()
            except grpc.aio.AioRpcError as error:
                self._last = OcrMuxError.from_rpc_error(error)
            except OcrMuxError as error:
                self._last = error
            except grpc.aio.UsageError as error:
                raise client_closed() from error
            except asyncio.CancelledError as error:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                raise client_closed() from error  # gRPC cancels the calls of a channel that is closed
            self._failures += 1
            if not self._last.is_passing or self._failures > self._backoff.attempts:
                raise self._last
            await asyncio.sleep(self._backoff.wait_s(self._failures, at_least_s=self._last.retry_after_s))
