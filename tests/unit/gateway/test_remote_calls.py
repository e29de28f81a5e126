"""What a provider over the network makes of a call that ends at an awkward moment: who pays, and what is kept."""

from __future__ import annotations

import asyncio
import gc
import itertools
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from ocr_gateway.errors import ImageUndecodable, ProviderUnavailable
from ocr_gateway.model import Feature, ProviderCall, ProviderResult, ProviderState
from ocr_gateway.providers.azure.document_intelligence import AzureSettings, build_azure
from ocr_gateway.providers.http import HttpClient
from ocr_gateway.providers.mistral import MistralDialect, MistralSettings, build_mistral
from ocr_gateway.providers.remote.building import remote_provider
from ocr_gateway.providers.remote.meanings import ErrorTable, Meaning, Refusal
from ocr_gateway.providers.remote.provider import RemoteProvider
from ocr_gateway.providers.remote.token_keeper import Token, TokenKeeper
from rpc_runtime.expected_error import ExpectedError
from tests.fakes.images import encoded, photo

IMAGE = encoded(photo(100, 100), "PNG")
OPERATION = "/documentintelligence/documentModels/prebuilt-read/analyzeResults/7"


def a_call(image: bytes = IMAGE) -> ProviderCall:
    return ProviderCall(image, "image/png", 100, 100, Feature.TEXT)


@asynccontextmanager
async def served(answer: Any) -> AsyncIterator[str]:
    """A server that answers so; its address."""
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TEST_KEY", "madeUpKey0000000000000001")


@asynccontextmanager
async def started(endpoint: str, *, azure: bool = False, **settings: Any) -> AsyncIterator[RemoteProvider]:
    given = {"endpoint": endpoint, "credentials": {"api_key": {"env": "A_TEST_KEY"}}, **settings}
    if azure:
        provider = build_azure("azure", AzureSettings.model_validate(given))
    else:
        provider = build_mistral("mistral", MistralSettings.model_validate(given))
    await provider.start()
    try:
        yield provider
    finally:
        await provider.close()


@contextmanager
def full_backlog() -> Iterator[str]:
    """The address of a socket that makes no more connections."""
    with socket.socket() as listening, socket.socket() as first, socket.socket() as second:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


async def test_a_call_whose_connection_is_not_made_in_time_is_not_billed() -> None:
    """The attempt's time ends before that of the connection; nothing was sent."""
    with full_backlog() as url:
        async with started(url, timeout_s=0.3) as provider:
            with pytest.raises(ProviderUnavailable, match="timed out") as failure:
                await provider.recognize(a_call())
    assert not failure.value.may_be_billed


@pytest.mark.parametrize("sent", [True, False])
async def test_a_call_that_closing_ends_may_be_billed_when_it_was_sent(sent: bool) -> None:
    """And two who close at the same time do no harm."""
    arrived = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        await request.read()
        arrived.set()
        await asyncio.sleep(30)
        return web.Response()

    async def ended(url: str, until: asyncio.Event) -> ProviderUnavailable:
        async with started(url, timeout_s=20) as provider:
            call = asyncio.ensure_future(provider.recognize(a_call()))
            if sent:
                await until.wait()
            else:
                await asyncio.sleep(0.05)
            await asyncio.gather(provider.close(), provider.close())
            with pytest.raises(ProviderUnavailable, match="stopped") as failure:
                await call
            return failure.value

    if sent:
        async with served(answer) as url:
            assert (await ended(url, arrived)).may_be_billed
    else:
        with full_backlog() as url:
            assert not (await ended(url, arrived)).may_be_billed


@pytest.mark.parametrize("status", [404, 403, 429, 503])
async def test_an_image_that_was_submitted_may_be_billed_whatever_its_polls_say(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is the lane slowed or closed for it: the service took the image."""
    monkeypatch.setattr("ocr_gateway.providers.azure.document_intelligence._POLL_S", 0.01)

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            location = f"http://{request.host}{OPERATION}"
            return web.Response(status=202, headers={"Operation-Location": location, "Retry-After": "0"})
        return web.Response(status=status)

    async with served(answer) as url, started(url, azure=True) as provider:
        with pytest.raises(ProviderUnavailable, match=f"not told: HTTP {status}") as failure:
            await provider.recognize(a_call())
    assert failure.value.may_be_billed


async def test_a_call_begins_once_however_often_it_is_polled() -> None:
    """Its turn is for the image: a poll needs none, and is not too late."""
    polls = itertools.count(1)
    begun: list[int] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            location = f"http://{request.host}{OPERATION}"
            return web.Response(status=202, headers={"Operation-Location": location, "Retry-After": "0"})
        if next(polls) < 3:
            return web.json_response({"status": "running"}, headers={"Retry-After": "0"})
        page = {"pageNumber": 1, "width": 100, "height": 100, "unit": "pixel"}
        return web.json_response({"status": "succeeded", "analyzeResult": {"pages": [page]}})

    async with served(answer) as url, started(url, azure=True) as provider:
        await provider.recognize(replace(a_call(), begin=lambda: begun.append(1)))
    assert (begun, next(polls)) == ([1], 4)


@pytest.mark.parametrize("azure", [False, True])
async def test_a_status_without_a_body_is_an_error_of_the_port(azure: bool) -> None:
    """Whichever it is, a submission's too; a redirect is not followed."""
    requests: list[str] = []
    statuses = iter(range(200, 600))

    async def answer(request: web.Request) -> web.StreamResponse:
        requests.append(request.path)
        return web.Response(status=next(statuses), headers={"Location": "/elsewhere", "Retry-After": "1"})

    async with served(answer) as url:
        for _ in range(400):
            async with started(url, azure=azure, timeout_s=5) as provider:
                with pytest.raises(ExpectedError):
                    await provider.recognize(a_call())
    assert len(requests) == 400
    assert len(set(requests)) == 1


async def test_a_failed_call_does_not_hold_its_image() -> None:
    """An error is raised where the image is at hand, and its trace is no reason to keep that."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=503)

    images = [bytes(bytearray(IMAGE)), bytes(bytearray(b"no image"))]
    kinds: list[type[ExpectedError]] = [ProviderUnavailable, ImageUndecodable]
    async with served(answer) as url, started(url) as provider:
        gc.collect()
        gc.disable()
        try:
            for image, kind in zip(images, kinds, strict=True):
                failed = False
                try:
                    await provider.recognize(a_call(image))
                except kind:
                    failed = True
                assert failed
            held = [each for each in gc.get_objects() if isinstance(each, ProviderCall)]
            assert not [each for each in held if any(each.image is image for image in images)]
        finally:
            gc.enable()


class ThreadNotes(MistralDialect):
    """Notes on which thread its answers are read."""

    def __init__(self, name: str, settings: MistralSettings) -> None:
        super().__init__(name, settings)
        self.threads: list[threading.Thread] = []

    def results(self, said: dict[str, Any], calls: Sequence[ProviderCall]) -> Sequence[ProviderResult | Refusal]:
        """On the current one."""
        self.threads.append(threading.current_thread())
        return super().results(said, calls)


@pytest.mark.parametrize(("size", "on_loop"), [(1_000, True), (100_000, False)])
async def test_a_large_answer_is_read_off_the_event_loop(size: int, on_loop: bool) -> None:
    """100 kB of words take longer than others should wait."""

    async def answer(_: web.Request) -> web.StreamResponse:
        page = {"dimensions": None, "markdown": "x" * size}
        return web.json_response({"pages": [page]})

    async with served(answer) as url:
        given = {"endpoint": url, "credentials": {"api_key": {"env": "A_TEST_KEY"}}}
        settings = MistralSettings.model_validate(given)
        dialect = ThreadNotes("mistral", settings)
        provider = remote_provider(dialect, settings)
        await provider.start()
        await provider.recognize(a_call())
        await provider.close()
    assert [thread is threading.current_thread() for thread in dialect.threads] == [on_loop]


class TokenDialect(MistralDialect):
    """One whose token may be refused."""

    errors = ErrorTable({Meaning.TOKEN: ("expired",)})


async def test_tokens_that_are_refused_now_and_then_are_no_wrong_keys() -> None:
    """Each is replaced, and a call that is served between two of them ends the row."""
    answers, tokens = itertools.count(), itertools.count()

    async def answer(_: web.Request) -> web.StreamResponse:
        if next(answers) % 2 == 0:
            return web.json_response({"code": "expired", "message": "the token"}, status=401)
        return web.json_response({"pages": [{"dimensions": None, "markdown": "x"}]})

    async def fetch() -> Token:
        return Token(f"token {next(tokens)}", 1000.0)

    async with served(answer) as url:
        given = {"endpoint": url, "credentials": {"api_key": {"env": "A_TEST_KEY"}}}
        dialect = TokenDialect("mistral", MistralSettings.model_validate(given))
        keeper = TokenKeeper(fetch, provider="mistral")
        provider = RemoteProvider(dialect, http=HttpClient(), access=keeper)
        await provider.start()
        for _ in range(5):
            await provider.until_ready()
            with pytest.raises(ProviderUnavailable, match="token is refused"):
                await provider.recognize(a_call())
            await provider.until_ready()
            await provider.recognize(a_call())
        assert provider.status.state is ProviderState.SERVING
        await provider.close()


async def test_closing_ends_the_wait_for_a_token() -> None:
    """Those who wait for one are told, and the fetch is given up."""
    given_up = asyncio.Event()

    async def fetch() -> Token:
        try:
            await asyncio.sleep(600)
        finally:
            given_up.set()
        raise AssertionError("nobody waits so long")

    settings = {"endpoint": "http://127.0.0.1:9", "credentials": {"api_key": {"env": "A_TEST_KEY"}}}
    dialect = TokenDialect("mistral", MistralSettings.model_validate(settings))
    keeper = TokenKeeper(fetch, provider="mistral")
    provider = RemoteProvider(dialect, http=HttpClient(), access=keeper)
    await provider.start()
    waiting = [asyncio.ensure_future(provider.until_ready()), asyncio.ensure_future(provider.recognize(a_call()))]
    await asyncio.sleep(0.05)
    await provider.close()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ProviderUnavailable] * 2
    assert given_up.is_set()
