"""The way to the gateway: one channel, and on it a stream for each caller's config."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import grpc
import structlog
from pydantic import SecretStr

from ocrmux.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from ocrmux.ocr.v1 import recognition_pb2
from preprocess_service.errors import GatewayRefusesService, GatewayUnavailable
from preprocess_service.gateway_connection import ConnectionLost, GatewayConnection, PageToRead
from rpc_runtime.bearer_token import bearer_metadata

ResultT = TypeVar("ResultT")
Metadata = tuple[tuple[str, str], ...]
_LookupsKey = tuple[bytes, Metadata]

_log = structlog.get_logger("preprocess_service.gateway_link")
_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 2.0


class GatewayLink:
    """The channel. A page that a lost stream left unanswered is asked again for ``retry_s`` seconds, which costs
    nothing where the gateway has kept the result. ``on_state`` is told when the gateway comes in reach or goes out.
    ``token`` is this service's own, and goes with each call.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        *,
        retry_s: float,
        connect_timeout_s: float,
        on_state: Callable[[bool], Awaitable[None]],
        random_source: random.Random,
        token: SecretStr | None = None,
    ) -> None:
        self._channel = channel
        self._own_metadata = bearer_metadata(token)
        self._stub = gateway_pb2_grpc.OcrGatewayServiceStub(channel)
        self._on_state = on_state
        self.retry_s = retry_s
        self.connect_timeout_s = connect_timeout_s
        self.random = random_source
        self._reachable: bool | None = None
        self._refused = False
        self._on_reconnected: Callable[[], None] = _nobody_to_tell
        self._watching: asyncio.Task[None] | None = None
        self._was_cut = False
        self._lookups: dict[_LookupsKey, _Lookups] = {}

    def on_reconnected(self, tell: Callable[[], None]) -> None:
        """Has ``tell`` called before the first page is asked on a new connection to a gateway, which may be another one
        or have other settings than the one before. Replaces who was told until then.
        """
        self._on_reconnected = tell

    async def open_route(self, config: recognition_pb2.RecognitionConfig, metadata: Metadata = ()) -> GatewayRoute:
        """The way for pages of this config. ``metadata`` goes with its calls, as the caller's tenant.

        Raises StatusError when the gateway refuses either, GatewayUnavailable, GatewayRefusesService.
        """
        key = (config.SerializeToString(deterministic=True), metadata)
        lookups = self._lookups.get(key)
        if lookups is None:
            lookups = self._lookups[key] = _Lookups(GatewayStream(self, config, metadata))
        lookups.users += 1
        contents = GatewayStream(self, config, metadata)
        route = GatewayRoute(contents, lookups.stream, lambda: self._leave(key, lookups))
        try:
            await lookups.stream.connect()
        except BaseException:
            await route.aclose()
            raise
        return route

    async def _leave(self, key: _LookupsKey, lookups: _Lookups) -> None:
        lookups.users -= 1
        if lookups.users == 0:
            del self._lookups[key]
            await lookups.stream.aclose()

    async def call(self, config: recognition_pb2.RecognitionConfig, metadata: Metadata) -> GatewayConnection:
        """One connected call. Raises ConnectionLost, StatusError or GatewayRefusesService."""
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())
        connection = GatewayConnection(self._stub.StreamRecognize(metadata=(*self._own_metadata, *metadata)))
        try:
            async with asyncio.timeout(self.connect_timeout_s):
                await connection.open(config)
        except BaseException as error:
            await connection.close()
            if isinstance(error, TimeoutError):
                raise ConnectionLost(f"no answer within {self.connect_timeout_s:g} s") from None
            raise
        if self._was_cut:
            self._was_cut = False
            self._on_reconnected()
        return connection

    async def _watch(self) -> None:
        """Takes note when the channel leaves the state in which it is connected, until it is closed."""
        state = self._channel.get_state()
        while state is not grpc.ChannelConnectivity.SHUTDOWN:
            await self._channel.wait_for_state_change(state)
            self._was_cut = self._was_cut or state is grpc.ChannelConnectivity.READY
            state = self._channel.get_state()

    async def list_providers(self) -> gateway_pb2.ListProvidersResponse:
        """The gateway's providers and routes as they are now. Raises GatewayUnavailable, GatewayRefusesService."""
        try:
            request = gateway_pb2.ListProvidersRequest()
            response: gateway_pb2.ListProvidersResponse = await self._stub.ListProviders(
                request, timeout=self.connect_timeout_s, metadata=self._own_metadata
            )
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                await self.tell_refused()
                raise GatewayRefusesService from error
            raise GatewayUnavailable(f"{error.code().name}: {error.details()}") from error
        return response

    async def tell(self, reachable: bool) -> None:
        """Takes note of how the gateway is."""
        self._refused = self._refused and not reachable
        if reachable is not self._reachable:
            self._reachable = reachable
            _log.info("gateway.state", reachable=reachable)
            await self._on_state(reachable)

    async def tell_refused(self) -> None:
        """Takes note that the gateway does not take the token; the log has it once, until it takes it again."""
        if not self._refused:
            self._refused = True
            _log.error(
                "gateway.refuses_our_token",
                token_shown=bool(self._own_metadata),
                mend="gateway_token_file must hold a token whose SHA-256 is in the gateway's tokens_file",
            )
        await self.tell(False)

    async def close(self) -> None:
        """Closes the channel."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})
        await self._channel.close()


def _nobody_to_tell() -> None:
    """For a link whose new connections are of no interest."""


@dataclass(slots=True)
class _Lookups:
    """The stream for digests of one config, and how many routes use it."""

    stream: GatewayStream
    users: int = 0


class GatewayRoute:
    """The way for one caller's pages. Contents go on a stream of their own, so that the work on them ends with the
    caller; digests, which cost the gateway no work, share a stream with all callers of the same config and tenant."""

    def __init__(self, contents: GatewayStream, lookups: GatewayStream, leave: Callable[[], Awaitable[None]]) -> None:
        self._contents = contents
        self._lookups = lookups
        self._leave = leave

    async def ask(self, page: PageToRead) -> recognition_pb2.PageAnswer:
        """The page's answer, as GatewayStream gives it."""
        return await (self._contents if page.digest is None else self._lookups).ask(page)

    async def aclose(self) -> None:
        """Ends the caller's own stream, and the shared one after its last caller."""
        try:
            await self._contents.aclose()
        finally:
            await self._leave()


class GatewayStream:
    """Asks pages of one config; connects when it is first needed, and anew when the stream is lost. Once it was closed
    it never connects again.
    """

    def __init__(self, link: GatewayLink, config: recognition_pb2.RecognitionConfig, metadata: Metadata) -> None:
        self._link = link
        self._config = config
        self._metadata = metadata
        self._connecting: asyncio.Task[GatewayConnection] | None = None
        self._connection: GatewayConnection | None = None
        self._draining: list[GatewayConnection] = []
        self._closed = False

    async def connect(self) -> None:
        """Returns when connected. Raises StatusError when the gateway refuses the config, GatewayUnavailable,
        GatewayRefusesService.
        """
        await self._persist(self._connected)

    async def ask(self, page: PageToRead) -> recognition_pb2.PageAnswer:
        """The page's answer, a document or an error. Raises GatewayUnavailable when there is none to be had, as on a
        stream that was closed.

        A cancelled ask is forgotten; the caller bounds the wait.
        """
        connection = self._connection
        if connection is not None and not connection.lost and not self._closed:
            try:
                return await connection.ask(page)
            except ConnectionLost:
                _log.info("gateway.asking_again")

        async def again() -> recognition_pb2.PageAnswer:
            return await (await self._connected()).ask(page)

        return await self._persist(again)

    async def aclose(self) -> None:
        """Ends the stream for good; what the gateway still has of it is cancelled there."""
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()  # it closes by itself what it has begun
        connections = [*self._draining, *filter(None, [self._connection])]
        try:
            for connection in connections:
                await connection.close()
        finally:
            for connection in connections:
                connection.cancel()

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
            except GatewayRefusesService:
                await self._link.tell_refused()
                raise
            else:
                await self._link.tell(True)
                return result

    async def _connected(self) -> GatewayConnection:
        """The connection, made anew where it must be: once for all who wait, who share its failure too."""
        if self._closed:
            raise GatewayUnavailable("the stream to it was closed")
        connection = self._connection
        if connection is not None and not connection.lost:
            return connection
        connecting = self._connecting
        if connecting is None or connecting.done():
            connecting = self._connecting = asyncio.create_task(self._connect_anew())
            connecting.add_done_callback(_look_at)
        await asyncio.wait({connecting})
        return connecting.result()

    async def _connect_anew(self) -> GatewayConnection:
        old, self._connection = self._connection, None
        if old is not None:
            self._draining.append(old)  # the gateway may still be finishing what it accepted on it
        for connection in [each for each in self._draining if each.ended]:
            self._draining.remove(connection)
            await connection.close()
        self._connection = await self._link.call(self._config, self._metadata)
        return self._connection


def _look_at(done: asyncio.Task[GatewayConnection]) -> None:
    """Takes note of a failure that nobody may be left to wait for."""
    if not done.cancelled():
        done.exception()
