"""The HTTP client of the providers, against servers that misbehave in every way."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ocr_gateway.providers.http import HttpAnswer, HttpClient, HttpFailure, HttpFault, OutgoingBody

Behave = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@asynccontextmanager
async def server(behave: Behave, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server on a free port; its address carries what must never be told."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await behave(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    port = listener.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/read?access_token=SECRET"
    finally:
        listener.close()
        await listener.wait_closed()


def self_signed(folder: Path) -> ssl.SSLContext:
    """A certificate for 127.0.0.1 that nobody vouches for."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def request_of(reader: asyncio.StreamReader) -> bytes:
    """One whole request: its head and its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next((line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), b"x: 0")
    return head + await reader.readexactly(int(length.split(b":")[1]))


def answering(answer: bytes) -> Behave:
    """Answers the first request with these bytes and closes."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(answer)
        await writer.drain()

    return behave


async def post(url: str, *, body: bytes = b"a=b", timeout_s: float = 5.0, max_answer_bytes: int = 1000) -> HttpAnswer:
    client = HttpClient()
    try:
        return await client.post(
            url,
            headers={"Content-Type": "text/plain"},
            body=OutgoingBody(body),
            timeout_s=timeout_s,
            max_answer_bytes=max_answer_bytes,
        )
    finally:
        await client.close()


async def failure_of(behave: Behave, *, timeout_s: float = 5.0) -> HttpFailure:
    async with server(behave) as url:
        with pytest.raises(HttpFailure) as failure:
            await post(url, timeout_s=timeout_s)
    assert "SECRET" not in str(failure.value)
    assert failure.value.__cause__ is None
    assert failure.value.__suppress_context__ or failure.value.__context__ is None
    return failure.value


async def test_a_request_goes_out_as_it_was_given() -> None:
    """Method, encoded address, headers and body; no compression is asked for."""
    seen: list[bytes] = []

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await request_of(reader))
        writer.write(GOOD)

    async with server(behave) as url:
        answer = await post(f"{url}&b=%2B%2f", body=b"image=x")
    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert (answer.status, answer.body, body) == (200, b"ok", b"image=x")
    assert head.startswith(b"POST /read?access_token=SECRET&b=%2B%2f HTTP/1.1")
    assert b"Content-Type: text/plain" in head
    assert b"Accept-Encoding: identity" in head


async def test_a_large_body_goes_out_whole() -> None:
    """Without a warning of aiohttp's, and with its length."""
    lengths: list[int] = []

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await request_of(reader)
        lengths.append(len(request.partition(b"\r\n\r\n")[2]))
        assert b"chunked" not in request
        writer.write(GOOD)

    async with server(behave) as url:
        await post(url, body=bytes(3_000_000))
    assert lengths == [3_000_000]


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b"", HttpFault.CONNECTION_LOST),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", HttpFault.MALFORMED),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", HttpFault.MALFORMED),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", HttpFault.MALFORMED),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", HttpFault.MALFORMED),
        (b"no HTTP at all\r\n\r\n", HttpFault.MALFORMED),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", HttpFault.MALFORMED),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok", HttpFault.MALFORMED),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + bytes(1001), HttpFault.TOO_LARGE),
        (b"HTTP/1.1 200 OK\r\n\r\n" + bytes(70_000), HttpFault.TOO_LARGE),
    ],
)
async def test_each_bad_answer_has_its_fault(answer: bytes, fault: HttpFault) -> None:
    """Nothing of aiohttp's comes out, and the address stands nowhere."""
    failure = await failure_of(answering(answer))
    assert failure.fault is fault


async def test_an_answer_up_to_the_limit_is_whole() -> None:
    """The limit itself is allowed."""
    async with server(answering(b"HTTP/1.1 200 OK\r\n\r\n" + bytes(1000))) as url:
        assert len((await post(url)).body) == 1000


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"])
async def test_a_server_that_stops_is_given_up_in_time(answer: bytes) -> None:
    """Before the answer and in the middle of it."""
    gone = asyncio.Event()

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(answer)
        await reader.read()  # until the client leaves
        gone.set()

    failure = await failure_of(behave, timeout_s=0.2)
    assert failure.fault is HttpFault.TIMED_OUT
    async with asyncio.timeout(5):
        await gone.wait()


async def test_redirects_are_answers() -> None:
    """Nothing is sent elsewhere."""
    moved = b"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    async with server(answering(moved)) as url:
        assert (await post(url)).status == 307


async def test_a_server_without_tls_is_refused() -> None:
    """Where TLS is asked for, an answer in the clear is no connection."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(GOOD)
        await writer.drain()

    async with server(behave) as url:
        with pytest.raises(HttpFailure, match="TLS") as failure:
            await post(url.replace("http:", "https:"))
    assert failure.value.fault is HttpFault.NOT_CONNECTED


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl program is not installed")
async def test_an_untrusted_certificate_is_refused(tmp_path: Path) -> None:
    """Nothing is sent to a server that cannot prove who it is."""
    requests: list[bytes] = []

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await request_of(reader))
        writer.write(GOOD)

    async with server(behave, tls=self_signed(tmp_path)) as url:
        with pytest.raises(HttpFailure, match="TLS") as failure:
            await post(url.replace("http:", "https:"))
    assert failure.value.fault is HttpFault.NOT_CONNECTED
    assert requests == []


async def test_where_nobody_listens_there_is_no_connection() -> None:
    """And so is a host that has no address."""
    async with server(answering(GOOD)) as url:
        pass
    for address in (url, "http://no-such-host.invalid/?access_token=SECRET"):
        with pytest.raises(HttpFailure) as failure:
            await post(address)
        assert failure.value.fault is HttpFault.NOT_CONNECTED
        assert "SECRET" not in str(failure.value)


async def test_a_connection_closed_while_idle_costs_no_request() -> None:
    """Once the server's closing has arrived, the next request takes a new connection, and none is sent twice."""
    requests = connections = 0
    closed = asyncio.Event()

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests, connections
        connections += 1
        await request_of(reader)
        requests += 1
        writer.write(GOOD)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        closed.set()

    async with server(behave) as url:
        client = HttpClient()
        for _ in range(20):
            closed.clear()
            await client.post(url, headers={}, timeout_s=5)
            await closed.wait()
        await client.close()
    assert (requests, connections) == (20, 20)


async def test_connections_are_kept() -> None:
    """Requests one after the other share one."""
    connections = 0

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            await request_of(reader)
            writer.write(GOOD)
            await writer.drain()

    async with server(behave) as url:
        client = HttpClient()
        for _ in range(5):
            await client.post(url, headers={}, timeout_s=5)
        await client.close()
    assert connections == 1


async def test_a_closed_client_fails_what_is_under_way_and_what_comes() -> None:
    """Both as lost connections."""
    arrived = asyncio.Event()

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        arrived.set()
        await reader.read()

    async with server(behave) as url:
        client = HttpClient()
        task = asyncio.create_task(client.post(url, headers={}, timeout_s=5))
        await arrived.wait()
        await client.close()
        await client.close()
        for waiting in (task, client.post(url, headers={}, timeout_s=5)):
            with pytest.raises(HttpFailure) as failure:
                await waiting
            assert failure.value.fault is HttpFault.CONNECTION_LOST


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "999999999999"}, 3600.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "Thu, 01 Jan 2026 00:00:30 GMT", "Date": "Thu, 01 Jan 2026 00:00:00 GMT"}, 30.0),
        ({"Retry-After": "Thu, 01 Jan 2026 00:00:00 GMT", "Date": "Thu, 01 Jan 2026 00:00:30 GMT"}, 0.0),
    ],
)
def test_retry_after_is_read(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds and dates, at most an hour; what makes no sense is none."""
    assert HttpAnswer(503, headers, b"").retry_after_s == seconds
