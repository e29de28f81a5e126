"""The way to the gateway: one channel, and on it a stream for each caller's config."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import grpc
import structlog

from ocrmux.gateway.v1 import gateway_pb2_grpc
from ocrmux.ocr.v1 import recognition_pb2
from preprocess_service.errors import GatewayUnavailable
from preprocess_service.gateway_connection import ConnectionLost, GatewayConnection, PageToRead

ResultT = TypeVar("ResultT")

_log = structlog.get_logger("preprocess_service.gateway_link")
_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 2.0


class GatewayLink:
    """The channel. A page that a lost stream left unanswered is asked again for ``retry_s`` seconds, which costs
    nothing where the gateway has kept the result. ``on_state`` is told when the gateway comes in reach or goes out.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        *,
        retry_s: float,
        connect_timeout_s: float,
        on_state: Callable[[bool], Awaitable[None]],
        random_source: random.Random,
    ) -> None:
        self._channel = channel
        self._stub = gateway_pb2_grpc.OcrGatewayServiceStub(channel)
        self._on_state = on_state
        self.retry_s = retry_s
        self.connect_timeout_s = connect_timeout_s
        self.random = random_source
        self._reachable: bool | None = None

    async def open_stream(self, config: recognition_pb2.RecognitionConfig) -> GatewayStream:
        """A stream for the config, connected. Raises StatusError when the gateway refuses it, GatewayUnavailable."""
        stream = GatewayStream(self, config)
        try:
            await stream.connect()
        except BaseException:
            await stream.aclose()
            raise
        return stream

    async def call(self, config: recognition_pb2.RecognitionConfig) -> GatewayConnection:
        """One connected call. Raises ConnectionLost or StatusError."""
        connection = GatewayConnection(self._stub.StreamRecognize())
        try:
            async with asyncio.timeout(self.connect_timeout_s):
                await connection.open(config)
        except BaseException as error:
            await connection.close()
            if isinstance(error, TimeoutError):
                raise ConnectionLost(f"no answer within {self.connect_timeout_s:g} s") from None
            raise
        return connection

    async def tell(self, reachable: bool) -> None:
        """Takes note of how the gateway is."""
        if reachable is not self._reachable:
            self._reachable = reachable
            _log.info("gateway.state", reachable=reachable)
            await self._on_state(reachable)

    async def close(self) -> None:
        """Closes the channel."""
        await self._channel.close()


class GatewayStream:
    """Asks pages of one config; connects anew when the stream is lost."""

    def __init__(self, link: GatewayLink, config: recognition_pb2.RecognitionConfig) -> None:
        self._link = link
        self._config = config
        self._connecting = asyncio.Lock()
        self._connection: GatewayConnection | None = None

    async def connect(self) -> None:
        """Returns when connected. Raises StatusError when the gateway refuses the config, GatewayUnavailable."""
        await self._persist(self._connected)

    async def ask(self, page: PageToRead) -> recognition_pb2.PageAnswer:
        """The page's answer, a document or an error. Raises GatewayUnavailable when there is none to be had.

        A cancelled ask is forgotten; the caller bounds the wait.
        """

        connection = self._connection
        if connection is not None and not connection.lost:
            try:
                return await connection.ask(page)
            except ConnectionLost:
                _log.info("gateway.asking_again")

        async def again() -> recognition_pb2.PageAnswer:
            return await (await self._connected()).ask(page)

        return await self._persist(again)

    async def aclose(self) -> None:
        """Ends the stream; what the gateway still has of it is cancelled there."""
        if self._connection is not None:
            await self._connection.close()

    async def _persist(self, attempt: Callable[[], Awaitable[ResultT]]) -> ResultT:
        clock = asyncio.get_running_loop().time
        give_up_at: float | None = None
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                result = await attempt()
            except ConnectionLost as lost:
                await self._link.tell(False)
                if give_up_at is None:
                    give_up_at = clock() + self._link.retry_s
                if clock() + wait_s > give_up_at:
                    raise GatewayUnavailable(str(lost)) from lost
                await asyncio.sleep(wait_s * self._link.random.uniform(0.5, 1.0))
                wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
            else:
                await self._link.tell(True)
                return result

    async def _connected(self) -> GatewayConnection:
        async with self._connecting:
            if self._connection is None or self._connection.lost:
                if self._connection is not None:
                    await self._connection.close()
                self._connection = None
                self._connection = await self._link.call(self._config)
            return self._connection
