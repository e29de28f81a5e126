"""How the client reaches servers: many of them, TLS, tokens, tenants, and what it says where it does not."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from ocrmux_client import Backoff, Item, OcrMux, OcrMuxClient, OcrMuxError, StreamPolicy, Tls
from ocrmux_client.channel import is_loopback
from tests.fakes.certificates import CertificateAuthority
from tests.fakes.redis_server import free_port
from tests.fakes.stub_servers import NOT_SERVING, PREPROCESS, SERVING, StubPlan, stub_gateway, stub_preprocess

QUICK = Backoff(first_s=0.01, longest_s=0.02, attempts=3)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


@asynccontextmanager
async def two_replicas(one: StubPlan, other: StubPlan) -> AsyncIterator[str]:
    """Two stubs behind one target."""
    async with stub_preprocess(one) as first, stub_preprocess(other) as second:
        yield f"ipv4:{first},{second}"


def server_credentials(authority: CertificateAuthority, *, wants_certificate: bool = False) -> grpc.ServerCredentials:
    own = authority.issue("server")
    return grpc.ssl_server_credentials(
        [(own.key_file.read_bytes(), own.cert_file.read_bytes())],
        root_certificates=authority.cert_file.read_bytes() if wants_certificate else None,
        require_client_auth=wants_certificate,
    )


async def until_both_are_called(client: OcrMuxClient, plans: tuple[StubPlan, StubPlan]) -> None:
    async with asyncio.timeout(20):
        while not all(plan.unary_calls for plan in plans):
            await client.recognize(b"x")


async def test_calls_go_to_all_addresses_in_turn() -> None:
    """Two addresses in one target share the calls evenly."""
    plans = StubPlan(), StubPlan()
    async with two_replicas(*plans) as target, OcrMuxClient(target) as client:
        await until_both_are_called(client, plans)
        before = [plan.unary_calls for plan in plans]
        for _ in range(10):
            await client.recognize(b"x")
        assert [plan.unary_calls - count for plan, count in zip(plans, before, strict=True)] == [5, 5]


async def test_a_replica_that_is_not_serving_gets_no_calls() -> None:
    """What the health service says is heeded, and heard again when it changes."""
    plans = StubPlan(), StubPlan()
    async with two_replicas(*plans) as target, OcrMuxClient(target) as client:
        await plans[1].health.set(PREPROCESS, NOT_SERVING)
        for _ in range(10):
            await client.recognize(b"x")
        assert [plan.unary_calls for plan in plans] == [10, 0]
        await plans[1].health.set(PREPROCESS, SERVING)
        await until_both_are_called(client, plans)
        await plans[0].health.set(PREPROCESS, NOT_SERVING)
        async with asyncio.timeout(20):
            while True:  # the news is under way: at last ten calls in a row go to the other one
                before = plans[0].unary_calls
                for _ in range(10):
                    await client.recognize(b"x")
                if plans[0].unary_calls == before:
                    return


async def test_a_stream_moves_on_when_its_server_drains() -> None:
    """Items answered DRAINING, and those behind them, are read by the replica that goes on."""
    moved = {f"item-{index}": 100 for index in range(12)}
    plans = StubPlan(moves=dict(moved)), StubPlan(moves=dict(moved))
    seen: list[str] = []

    async def drain() -> None:
        """The one that got the first stream stops; the other one is well."""
        stopping, well = plans if plans[0].streams else reversed(plans)
        await stopping.health.enter_graceful_shutdown()
        well.moves.clear()

    draining: list[asyncio.Task[None]] = []

    def on_reconnect(failures: int, wait_s: float, cause: OcrMuxError) -> None:
        seen.append(cause.reason)
        if not draining:
            draining.append(asyncio.create_task(drain()))

    policy = StreamPolicy(concurrency=4, backoff=Backoff(first_s=0.2, longest_s=0.3), on_reconnect=on_reconnect)
    async with two_replicas(*plans) as target, OcrMuxClient(target) as client:
        items = [Item(f"item-{index}", b"%d" % index) for index in range(12)]
        answers = [answer async for answer in client.stream_recognize(items, None, policy)]
        await asyncio.gather(*draining)
    texts = [answer.document.pages[0].text for answer in answers]
    assert texts == [digest(b"%d" % index) for index in range(12)]
    assert set(seen) == {"DRAINING"}
    assert all(plan.streams for plan in plans)


async def test_a_server_that_comes_back_is_found_within_the_backoff() -> None:
    """gRPC's own wait between connections never outlasts ours: a restart costs a few tries, not the stream."""
    address = f"127.0.0.1:{free_port()}"
    tries: list[int] = []
    back = asyncio.Event()

    def on_reconnect(failures: int, wait_s: float, cause: OcrMuxError) -> None:
        tries.append(failures)
        if failures == 3:
            back.set()

    async def read(client: OcrMuxClient) -> list[str]:
        policy = StreamPolicy(on_reconnect=on_reconnect)
        stream = client.stream_recognize([Item("a", b"x")], None, policy)
        return [answer.document.pages[0].text async for answer in stream]

    async with OcrMuxClient(address) as client:
        reading = asyncio.create_task(read(client))
        await asyncio.wait_for(back.wait(), 20)
        async with stub_preprocess(StubPlan(), address):
            assert await asyncio.wait_for(reading, 30) == [digest(b"x")]
    assert len(tries) < 8


async def test_tls_is_checked_against_the_given_roots(tmp_path: Path) -> None:
    """A server of the authority is read; one of a stranger's is refused, and the cause is told."""
    authority, stranger = CertificateAuthority(tmp_path), CertificateAuthority(tmp_path, "stranger")
    async with stub_preprocess(StubPlan(), credentials=server_credentials(authority)) as target:
        async with OcrMuxClient(target, tls=Tls(authority.cert_file)) as client:
            assert (await client.recognize(b"x")).text == digest(b"x")
        for tls in (Tls(stranger.cert_file), Tls()):
            async with OcrMuxClient(target, tls=tls, backoff=QUICK) as client:
                with pytest.raises(OcrMuxError, match="CERTIFICATE_VERIFY_FAILED") as caught:
                    await client.recognize(b"x")
                assert caught.value.code is grpc.StatusCode.UNAVAILABLE
                with pytest.raises(OcrMuxError, match=r"nothing serves at .* within 0.2 s: .*CERTIFICATE_VERIFY"):
                    await client.wait_until_reachable(0.2)


async def test_the_systems_roots_are_those_that_python_trusts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a file the roots are the system's: a file or a folder, as SSL_CERT_FILE and SSL_CERT_DIR say."""
    authority = CertificateAuthority(tmp_path)
    folder = tmp_path / "roots"
    folder.mkdir()
    (folder / "01234567.0").write_bytes(authority.cert_file.read_bytes())
    async with stub_preprocess(StubPlan(), credentials=server_credentials(authority)) as target:
        for file, roots in ((authority.cert_file, tmp_path / "none"), (tmp_path / "none", folder)):
            monkeypatch.setenv("SSL_CERT_FILE", str(file))
            monkeypatch.setenv("SSL_CERT_DIR", str(roots))
            async with OcrMuxClient(target, tls=Tls(), backoff=QUICK) as client:
                assert (await client.recognize(b"x")).text == digest(b"x")


async def test_mutual_tls_shows_the_clients_certificate(tmp_path: Path) -> None:
    """A server that wants a certificate serves who shows one, over both faces, and nobody else."""
    authority = CertificateAuthority(tmp_path)
    own = authority.issue("caller")
    tls = Tls(authority.cert_file, own.cert_file, str(own.key_file))

    def plainly(target: str) -> str:
        with OcrMux(target, tls=tls) as ocr:
            return ocr.recognize(b"x").text

    credentials = server_credentials(authority, wants_certificate=True)
    async with stub_preprocess(StubPlan(), credentials=credentials) as target:
        async with OcrMuxClient(target, tls=tls) as client:
            assert (await client.recognize(b"x")).text == digest(b"x")
        assert await asyncio.to_thread(plainly, target) == digest(b"x")
        async with OcrMuxClient(target, tls=Tls(authority.cert_file), backoff=QUICK) as client:
            with pytest.raises(OcrMuxError) as caught:
                await client.recognize(b"x")
        assert caught.value.code is grpc.StatusCode.UNAVAILABLE


def test_files_that_are_not_what_they_should_be_are_told_at_once(tmp_path: Path) -> None:
    """A missing file, one without a certificate, a key of another certificate, half a pair: no client is made."""
    authority = CertificateAuthority(tmp_path)
    one, other = authority.issue("one"), authority.issue("other")
    empty = tmp_path / "empty.pem"
    empty.write_text("hello")
    with pytest.raises(FileNotFoundError):
        Tls(tmp_path / "gone.pem").credentials()
    with pytest.raises(ValueError, match=r"empty\.pem has no PEM certificate"):
        Tls(empty).credentials()
    with pytest.raises(ValueError, match=r"other\.key is no unencrypted PEM key of the certificate in .*one\.pem"):
        Tls(None, one.cert_file, other.key_file).credentials()
    with pytest.raises(ValueError, match="belong together"):
        Tls(None, one.cert_file)
    with pytest.raises(ValueError, match="give one of them"):
        OcrMux("localhost:1", tls=Tls(), credentials=grpc.ssl_channel_credentials())


async def test_token_and_tenant_go_with_every_call() -> None:
    """Unary calls and streams show both, beside the caller's own metadata."""
    plan = StubPlan()
    async with (
        stub_preprocess(plan) as target,
        OcrMuxClient(target, token="s3cret", tenant="shop", metadata=[("x-trace", "7")]) as client,
    ):
        await client.recognize(b"x")
        assert len([answer async for answer in client.stream_recognize([Item("a", b"x")])]) == 1
    assert len(plan.metadata) == 2
    for metadata in plan.metadata:
        assert metadata["authorization"] == "Bearer s3cret"
        assert metadata["ocrmux-tenant"] == "shop"
        assert metadata["x-trace"] == "7"


@pytest.mark.parametrize("target", ["ocr.example:50051", "10.0.0.1:50051", "ipv4:127.0.0.1:1,10.0.0.1:1"])
async def test_a_token_is_never_sent_in_the_clear_to_another_machine(target: str) -> None:
    """It is refused when the client is made, for the gateway's address too, and is allowed over TLS."""
    for own, gateway in ((target, None), ("localhost:1", target)):
        with pytest.raises(ValueError, match="a token is not sent in the clear") as caught:
            OcrMuxClient(own, gateway_target=gateway, token="s3cret")
        assert "s3cret" not in str(caught.value)
    await OcrMuxClient(target, token="s3cret", tls=Tls()).close()
    with pytest.raises(ValueError, match="in the clear"):
        OcrMux(target, token="s3cret")


@pytest.mark.parametrize("token", ["", "two words", "line\n", "schlüssel"])
def test_a_token_that_no_header_holds_is_refused(token: str) -> None:
    """Blanks, line ends and letters beyond ASCII are told before anything is sent, and not repeated."""
    with pytest.raises(ValueError, match="a token is printable ASCII"):
        OcrMux("localhost:1", token=token)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("localhost:1", True),
        ("LOCALHOST", True),
        ("127.8.8.8:1", True),
        ("[::1]:1", True),
        ("unix:/run/x.sock", True),
        ("unix-abstract:x", True),
        ("dns:///localhost:1", True),
        ("dns:127.0.0.1:1", True),
        ("ipv4:127.0.0.1:1,127.0.0.2:2", True),
        ("ipv6:[::1]:1", True),
        ("127.evil.example:1", False),
        ("localhost.evil.example:1", False),
        ("dns://127.0.0.1/evil.example:1", False),
        ("ipv4:127.0.0.1:1,192.0.2.1:1", False),
        ("ipv6:[::1]:1,[2001:db8::1]:1", False),
        ("[2001:db8::1]:1", False),
        ("xds:///localhost", False),
        ("0.0.0.0:1", False),
        ("", False),
    ],
)
def test_loopback_is_told_by_the_whole_address(target: str, expected: bool) -> None:
    """A name that only begins like a loopback address is none."""
    assert is_loopback(target) is expected


async def test_what_is_not_reachable_is_told_with_its_cause() -> None:
    """Nobody there, a server that is not serving, and a server of another kind are three different things."""
    async with OcrMuxClient(f"127.0.0.1:{free_port()}") as client:
        with pytest.raises(OcrMuxError, match=r"nothing serves at .* within 0.3 s: .*onnect") as caught:
            await client.wait_until_reachable(0.3)
        assert caught.value.code is grpc.StatusCode.UNAVAILABLE
    plan = StubPlan()
    async with stub_preprocess(plan) as target, OcrMuxClient(target) as client:
        await plan.health.set(PREPROCESS, NOT_SERVING)
        with pytest.raises(OcrMuxError, match="unhealthy") as caught:
            await client.wait_until_reachable(0.3)
        assert caught.value.code is grpc.StatusCode.UNAVAILABLE
        await plan.health.set(PREPROCESS, SERVING)
        await client.wait_until_reachable(20)
    async with stub_gateway() as target, OcrMuxClient(target) as client:
        with pytest.raises(OcrMuxError, match=r"has no ocrmux\.preprocess") as caught:
            await client.wait_until_reachable(20)
        assert caught.value.code is grpc.StatusCode.UNIMPLEMENTED
        assert len((await client.list_providers()).providers) == 2


async def test_the_gateway_is_asked_at_its_own_address() -> None:
    """list_providers goes to gateway_target where one is given."""
    async with stub_preprocess(StubPlan()) as target, stub_gateway() as gateway:
        async with OcrMuxClient(target, gateway_target=gateway) as client:
            assert len((await client.list_providers()).providers) == 2
        async with OcrMuxClient(target) as client:
            with pytest.raises(OcrMuxError) as caught:
                await client.list_providers()
    assert caught.value.code is grpc.StatusCode.UNIMPLEMENTED
