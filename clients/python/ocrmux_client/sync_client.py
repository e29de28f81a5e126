"""The blocking client, for scripts."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine, Generator, Iterable, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

from ocrmux.gateway.v1.gateway_pb2 import ListProvidersResponse
from ocrmux.ocr.v1.recognition_pb2 import PageAnswer
from ocrmux_client.backoff import Backoff
from ocrmux_client.blocking_items import stepped_aside
from ocrmux_client.client import OcrMuxClient
from ocrmux_client.errors import OcrMuxError, client_closed
from ocrmux_client.items import Item, NormalizingConfig, ReadingConfig, Region
from ocrmux_client.normalized_image import NormalizedAnswer, NormalizedImage
from ocrmux_client.reading import Reading
from ocrmux_client.stream_policy import StreamPolicy
from ocrmux_client.tls import Tls

T = TypeVar("T")


class OcrMux:
    """OcrMuxClient for code without an event loop: ``with OcrMux("localhost:50051") as ocr: ocr.recognize(data)``.

    Runs the asynchronous client on a thread of its own; its methods may be called from several threads. Arguments,
    limits and errors are those of OcrMuxClient.
    """

    def __init__(
        self,
        target: str,
        *,
        gateway_target: str | None = None,
        tls: Tls | None = None,
        token: str | None = None,
        tenant: str | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        metadata: Sequence[tuple[str, str]] = (),
        backoff: Backoff | None = None,
    ) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ocrmux-client", daemon=True)
        self._thread.start()
        self._beginning = threading.Lock()
        self._is_closed = False
        self._streams: set[AsyncGenerator[Any, None]] = set()

        async def build() -> OcrMuxClient:
            return OcrMuxClient(
                target,
                gateway_target=gateway_target,
                tls=tls,
                token=token,
                tenant=tenant,
                credentials=credentials,
                metadata=metadata,
                backoff=backoff,
            )

        try:
            self._client = self._wait(build())
        except BaseException:
            self._end_thread()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections and ends the thread; calls and streams still running end. May be called again."""
        with self._beginning:
            if self._is_closed:
                return
            self._is_closed = True
            ending = asyncio.run_coroutine_threadsafe(self._end_all(), self._loop)
        try:
            ending.result()
        finally:
            self._end_thread()

    def wait_until_reachable(self, timeout_s: float = 10.0) -> None:
        """Returns once a server at the target serves; see OcrMuxClient.wait_until_reachable."""
        self._wait(self._client.wait_until_reachable(timeout_s))

    def recognize(
        self,
        content: bytes | Path,
        config: ReadingConfig | None = None,
        *,
        regions: Sequence[Region] = (),
        password: str = "",
        timeout_s: float = 300.0,
    ) -> Reading:
        """Reads one image or document; see OcrMuxClient.recognize."""
        return self._wait(
            self._client.recognize(content, config, regions=regions, password=password, timeout_s=timeout_s)
        )

    def stream_recognize(
        self,
        items: Iterable[Item],
        config: ReadingConfig | None = None,
        policy: StreamPolicy | None = None,
    ) -> Generator[PageAnswer, None, None]:
        """Reads many items; see OcrMuxClient.stream_recognize. Leaving the loop early stops the work.

        ``items`` is stepped on a thread of its own, and may block.
        """
        return self._stepped(self._client.stream_recognize(stepped_aside(items), config, policy))

    def normalize(
        self,
        content: bytes | Path,
        config: NormalizingConfig | None = None,
        *,
        page: int = 1,
        password: str = "",
        timeout_s: float = 120.0,
    ) -> NormalizedImage:
        """One page made fit for recognition; see OcrMuxClient.normalize."""
        return self._wait(self._client.normalize(content, config, page=page, password=password, timeout_s=timeout_s))

    def stream_normalize(
        self,
        items: Iterable[Item],
        config: NormalizingConfig | None = None,
        policy: StreamPolicy | None = None,
    ) -> Generator[NormalizedAnswer, None, None]:
        """Makes many items' pages fit for recognition; see OcrMuxClient.stream_normalize, and stream_recognize here."""
        return self._stepped(self._client.stream_normalize(stepped_aside(items), config, policy))

    def list_providers(self, *, timeout_s: float = 30.0) -> ListProvidersResponse:
        """Every provider that the gateway knows; see OcrMuxClient.list_providers."""
        return self._wait(self._client.list_providers(timeout_s=timeout_s))

    def _stepped(self, answers: AsyncGenerator[T, None]) -> Generator[T, None, None]:
        self._streams.add(answers)
        one_at_a_time = asyncio.Lock()  # an interrupted step ends before the closing begins

        async def step() -> T | None:
            async with one_at_a_time:
                return await anext(answers, None)

        async def close() -> None:
            async with one_at_a_time:
                await answers.aclose()

        try:
            while (answer := self._wait(step())) is not None:
                yield answer
        finally:
            try:
                self._wait(close())
            except OcrMuxError:
                if not self._is_closed:  # else it was closed with the client
                    raise
            finally:
                self._streams.discard(answers)

    async def _end_all(self) -> None:
        await self._client.close()
        calls = asyncio.all_tasks() - {asyncio.current_task()}
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        for answers in list(self._streams):
            await answers.aclose()

    def _end_thread(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        with self._beginning:  # whatever has begun is ended by close, and nothing begins after it
            if self._is_closed:
                coroutine.close()
                raise client_closed()
            future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except CancelledError as error:
            raise client_closed() from error
        except BaseException:
            future.cancel()  # an interrupt of the waiting thread stops the work too
            raise
