"""HTTP for the providers that are reached over it: one shared session, and every way to fail told in four words.

The one module that imports aiohttp. Addresses may carry tokens, so neither an address nor aiohttp's own words, which
quote it, ever stand in an error or a log line.
"""

from __future__ import annotations

import asyncio
import email.utils
import enum
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import aiohttp
import yarl
from aiohttp.abc import AbstractStreamWriter

MAX_ANSWER_BYTES = 16 * 1024 * 1024
MAX_RETRY_AFTER_S = 3600.0
_PIECE_BYTES = 256 * 1024
# Turns of the loop in which it polls its sockets, reads the end of those that the server closed, and tells the pool.
# With requests sent just when a server gave up its idle connections, 60 of 600 failed without these turns, 8 with them.
_TURNS_TO_HEAR = 3


class HttpFault(enum.Enum):
    """Why there is no answer."""

    TIMED_OUT = "timed out"
    NOT_CONNECTED = "cannot connect"
    CONNECTION_LOST = "connection lost"
    MALFORMED = "malformed answer"
    TOO_LARGE = "answer too large"


class HttpFailure(Exception):
    """A request without a usable answer; the text says why, without the address.

    ``may_have_been_sent``: the server may have done what it was asked for, as the connection was there.
    """

    def __init__(self, fault: HttpFault, detail: str = "", *, may_have_been_sent: bool = True) -> None:
        self.fault = fault
        self.may_have_been_sent = may_have_been_sent
        super().__init__(f"{fault.value}: {detail}" if detail else fault.value)


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A whole answer, whatever its status. ``headers`` are looked up in any letter case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def retry_after_s(self) -> float | None:
        """Seconds that a Retry-After header asks for, 0 to an hour; None without one or when it makes no sense."""
        stated = self.headers.get("Retry-After", "").strip()
        if stated.isascii() and stated.isdigit():
            return min(float(stated[:9]), MAX_RETRY_AFTER_S)
        then = _epoch_s(stated)
        if then is None:
            return None
        now = _epoch_s(self.headers.get("Date", ""))
        return min(max(0.0, then - (time.time() if now is None else now)), MAX_RETRY_AFTER_S)


class HttpClient:
    """Requests over kept connections, at most ``max_connections`` in all and ``max_connections_per_host`` to one host;
    0: any number.

    Redirects are not followed, certificates are checked, proxies come from ``proxy`` alone, and answers are asked for
    uncompressed, so that their size is known.

    Nothing is ever sent twice. A server closes connections that were idle for too long for it, and a request sent in
    that moment fails: whether the server had read it cannot be told from here, and such a request may cost money. So
    connections idle for ``keep_alive_s`` are closed from here, before servers do that (most wait 60 s or more); and
    before a connection is used, the loop hears which ones have been closed meanwhile.
    """

    def __init__(
        self,
        *,
        max_connections: int = 512,
        max_connections_per_host: int = 256,
        keep_alive_s: float = 15.0,
        dns_ttl_s: int = 60,
        connect_timeout_s: float = 5.0,
        proxy: str | None = None,
    ) -> None:
        self._max_connections = max_connections
        self._max_connections_per_host = max_connections_per_host
        self._keep_alive_s = keep_alive_s
        self._dns_ttl_s = dns_ttl_s
        self._proxy = proxy
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout_s)
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def open(self) -> None:
        """Makes the session, in the loop that will use it. May be called again; does nothing once it is closed."""
        if self._session is not None or self._closed:
            return
        connector = aiohttp.TCPConnector(
            limit=self._max_connections,
            limit_per_host=self._max_connections_per_host,
            keepalive_timeout=self._keep_alive_s,
            ttl_dns_cache=self._dns_ttl_s,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=self._timeout,
            trust_env=False,
            auto_decompress=False,
            skip_auto_headers=("Accept-Encoding",),
            headers={"Accept-Encoding": "identity", "User-Agent": "ocrmux"},
        )

    async def send(
        self,
        method: Literal["GET", "POST"],
        url: str,
        *,
        headers: Mapping[str, str],
        body: OutgoingBody | None = None,
        begin: Callable[[], None] = lambda: None,
        timeout_s: float,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> HttpAnswer:
        """The server's answer, whatever its status. ``url`` is sent as it stands: encode it before. ``begin`` is called
        right before the request is sent; what it raises goes on.

        Raises ``HttpFailure`` and nothing else: ``timeout_s`` covers the wait for a connection, the sending and the
        whole answer. Cancelling it closes the connection.
        """
        await self.open()
        if self._session is None or self._closed:
            raise HttpFailure(HttpFault.CONNECTION_LOST, "the client is closed", may_have_been_sent=False)
        for _ in range(_TURNS_TO_HEAR):
            await asyncio.sleep(0)
        begin()
        try:
            async with asyncio.timeout(timeout_s):
                return await self._exchange(self._session, method, url, headers, body, max_answer_bytes)
        except aiohttp.ServerTimeoutError:  # a TimeoutError too; of the connection, the one limit that aiohttp is given
            raise HttpFailure(
                HttpFault.TIMED_OUT, "the connection was not made in time", may_have_been_sent=False
            ) from None
        except TimeoutError:
            raise HttpFailure(HttpFault.TIMED_OUT, f"no answer within {timeout_s:g} s") from None
        except (aiohttp.ClientError, aiohttp.http.HttpProcessingError, OSError) as error:
            raise _failure(error, closed=self._closed) from None
        except RuntimeError:
            if self._closed:
                raise HttpFailure(HttpFault.CONNECTION_LOST, "the client is closed") from None
            raise

    async def post(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        body: OutgoingBody | None = None,
        begin: Callable[[], None] = lambda: None,
        timeout_s: float,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> HttpAnswer:
        """``send`` with POST."""
        return await self.send(
            "POST",
            url,
            headers=headers,
            body=body,
            begin=begin,
            timeout_s=timeout_s,
            max_answer_bytes=max_answer_bytes,
        )

    async def close(self) -> None:
        """Closes all connections; requests under way fail. May be called again."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _exchange(
        self,
        session: aiohttp.ClientSession,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: OutgoingBody | None,
        max_answer_bytes: int,
    ) -> HttpAnswer:
        async with session.request(
            method,
            yarl.URL(url, encoded=True),
            data=body,
            headers=headers,
            allow_redirects=False,
            proxy=self._proxy,
        ) as response:
            if response.headers.get("Content-Encoding", "identity") != "identity":
                response.close()
                raise HttpFailure(HttpFault.MALFORMED, "it is compressed, which was not asked for")
            answer = await _read(response, max_answer_bytes)
            return HttpAnswer(response.status, response.headers, answer)


class OutgoingBody(aiohttp.Payload):
    """A body that is let go of once it is sent: a provider may take seconds to answer, and the bytes are done with.

    It is written in pieces, so that a large one does not hold the loop, and once only.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._size = len(data)

    @property
    def unsent(self) -> bytes:
        """The whole body, as long as none of it was sent; then nothing."""
        return bytes(self._value)

    @property
    def is_sent(self) -> bool:
        """Whether some of it was sent, or is being sent."""
        return not self._value

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """What is left of it, as text."""
        return bytes(self._value).decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Sends it."""
        whole, self._value = memoryview(self._value), b""
        for start in range(0, len(whole), _PIECE_BYTES):
            await writer.write(whole[start : start + _PIECE_BYTES])

    async def write_with_length(self, writer: AbstractStreamWriter, _content_length: int | None) -> None:
        """Sends it: the length of the content is its own."""
        await self.write(writer)


async def _read(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    if (response.content_length or 0) <= max_bytes:
        while chunk := await response.content.readany():
            chunks.append(chunk)
            size += len(chunk)
            if size > max_bytes:
                break
        else:
            return b"".join(chunks)
    response.close()  # the rest of the answer is not waited for
    raise HttpFailure(HttpFault.TOO_LARGE, f"it is over {max_bytes} bytes")


def _failure(error: Exception, *, closed: bool) -> HttpFailure:
    """The one translation of what aiohttp, the sockets and TLS raise."""
    if closed:
        return HttpFailure(HttpFault.CONNECTION_LOST, "the client is closed")
    match error:
        case aiohttp.ClientConnectorDNSError():
            return HttpFailure(HttpFault.NOT_CONNECTED, "the host's name is not resolved", may_have_been_sent=False)
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return HttpFailure(
                HttpFault.NOT_CONNECTED,
                "TLS is refused, or the certificate is not trusted",
                may_have_been_sent=False,
            )
        case aiohttp.ClientConnectorError():
            return HttpFailure(
                HttpFault.NOT_CONNECTED, error.os_error.strerror or "it cannot be made", may_have_been_sent=False
            )
        case aiohttp.ServerDisconnectedError():
            return HttpFailure(HttpFault.CONNECTION_LOST, "the server closed it without an answer")
        case aiohttp.ClientConnectionError() | OSError():
            return HttpFailure(HttpFault.CONNECTION_LOST, getattr(error, "strerror", None) or type(error).__name__)
        case _:
            return HttpFailure(HttpFault.MALFORMED, type(error).__name__)


def _epoch_s(http_date: str) -> float | None:
    if not http_date:
        return None
    try:
        return email.utils.parsedate_to_datetime(http_date).timestamp()
    except (ValueError, OverflowError):
        return None
