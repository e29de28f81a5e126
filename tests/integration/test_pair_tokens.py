"""The way between the two services with tokens and TLS: what the gateway asks of the preprocess service."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pydantic import SecretStr
from structlog.testing import capture_logs

from ocrmux.ocr.v1 import recognition_pb2
from ocrmux.preprocess.v1 import preprocess_pb2
from ocrmux.preprocess.v1.preprocess_pb2_grpc import PreprocessServiceStub
from preprocess_service.composition import PreprocessProcess
from preprocess_service.errors import GatewayRefusesService
from preprocess_service.gateway_link import GatewayLink
from preprocess_service.settings import PreprocessSettings
from rpc_runtime.channel import open_channel
from rpc_runtime.drain import DrainSignal
from rpc_runtime.settings_source import SettingsInvalid
from tests.fakes.caller_tokens import BATCH, SHOP, UNKNOWN, bearer, tokens_file
from tests.fakes.certificates import Certificate, CertificateAuthority
from tests.fakes.gateway_messages import image, outcome, reason_of, status_of
from tests.fakes.preprocess_calls import unary
from tests.fakes.preprocess_messages import config, source
from tests.fakes.providers import ScriptedProvider
from tests.fakes.servers import RunningPair, running_gateway, running_pair

OWN = "preprocess-token-0123456789abcdefghijklmnopqr"
TIMEOUT_S = 30
UNAVAILABLE = (grpc.StatusCode.UNAVAILABLE, "GATEWAY_UNAVAILABLE")


def token_file(folder: Path, token: str) -> Path:
    path = folder / "own.token"
    path.write_text(f"{token}\n")
    return path


def as_server(certificate: Certificate, **settings: Any) -> dict[str, Any]:
    return {"tls_cert_file": certificate.cert_file, "tls_key_file": certificate.key_file, **settings}


def as_caller(authority: CertificateAuthority, certificate: Certificate | None = None) -> dict[str, Any]:
    settings: dict[str, Any] = {"gateway_ca_file": authority.cert_file}
    if certificate is not None:
        settings |= {"gateway_cert_file": certificate.cert_file, "gateway_key_file": certificate.key_file}
    return settings


async def failure(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return failed.value.code(), reason_of(status_of(failed.value))


async def read(stub: Any, metadata: Any = ()) -> list[str]:
    """What one image on a stream and one in a unary call come to."""
    call = stub.StreamRecognize(iter([config(), source("1", image(1))]), metadata=metadata, timeout=TIMEOUT_S)
    answers = [response.answer async for response in call][1:]
    response = await stub.Recognize(unary(image(2)), metadata=metadata, timeout=TIMEOUT_S)
    return [outcome(answer) for answer in [*answers, *response.answers]]


@asynccontextmanager
async def tokens_on_both(folder: Path, own: str = OWN, **settings: Any) -> AsyncIterator[RunningPair]:
    """The gateway knows the service's token, the service its callers'."""
    gateway = {"tokens_file": tokens_file(folder, "gateway.yaml", preprocess=OWN)}
    settings["tokens_file"] = tokens_file(folder, "preprocess.yaml", shop=SHOP, batch=BATCH)
    settings["gateway_token_file"] = token_file(folder, own)
    async with running_pair(ScriptedProvider(), gateway=gateway, **settings) as pair:
        yield pair


async def test_each_service_has_its_own_callers(tmp_path: Path) -> None:
    """The caller's token lets it into the preprocess service and not into the gateway, which sees the service's own,
    with pages and with the question for providers.
    """
    with capture_logs() as lines:
        async with tokens_on_both(tmp_path) as pair:
            assert await read(pair.stub, bearer(SHOP)) == ["OK", "OK"]
            normalization = preprocess_pb2.NormalizationConfig(provider="scripted")
            request = preprocess_pb2.NormalizeRequest(item=unary(image(3)).item, normalization=normalization)
            await pair.stub.Normalize(request, metadata=bearer(BATCH), timeout=TIMEOUT_S)
            refused = pair.stub.Recognize(unary(image(4)), metadata=bearer(OWN), timeout=TIMEOUT_S)
            assert await failure(refused) == (grpc.StatusCode.UNAUTHENTICATED, "CALLER_UNAUTHENTICATED")
    calls = {(line["method"].rsplit("/", 2)[-2:][0], line["caller"]) for line in lines if line["event"] == "rpc.call"}
    assert calls - {("ocrmux.preprocess.v1.PreprocessService", "")} == {
        ("ocrmux.preprocess.v1.PreprocessService", "shop"),
        ("ocrmux.preprocess.v1.PreprocessService", "batch"),
        ("ocrmux.gateway.v1.OcrGatewayService", "preprocess"),
    }
    assert not any(token in str(lines) for token in (SHOP, BATCH, OWN))


@pytest.mark.parametrize("own", [UNKNOWN, None])
async def test_a_gateway_that_refuses_us_is_no_fault_of_the_caller(tmp_path: Path, own: str | None) -> None:
    """With a wrong token and with none: GATEWAY_UNAVAILABLE, at once, never UNAUTHENTICATED; the log says it once, and
    the component `gateway` is not serving.
    """
    gateway = {"tokens_file": tokens_file(tmp_path, shop=OWN)}
    settings = {"gateway_token_file": token_file(tmp_path, own)} if own else {}
    with capture_logs() as lines:
        async with running_pair(ScriptedProvider(), gateway=gateway, gateway_retry_s=3600, **settings) as pair:
            for number in range(3):
                assert await failure(pair.stub.Recognize(unary(image(number)), timeout=TIMEOUT_S)) == UNAVAILABLE
                stream = pair.stub.StreamRecognize(iter([config()]), timeout=TIMEOUT_S)
                assert await failure(stream.read()) == UNAVAILABLE
            normalization = preprocess_pb2.NormalizationConfig(provider="scripted")
            request = preprocess_pb2.NormalizeRequest(item=unary(image(3)).item, normalization=normalization)
            assert await failure(pair.stub.Normalize(request, timeout=TIMEOUT_S)) == UNAVAILABLE
            health: Any = health_pb2_grpc.HealthStub(pair.channel)
            component = await health.Check(health_pb2.HealthCheckRequest(service="gateway"), timeout=TIMEOUT_S)
            assert component.status == health_pb2.HealthCheckResponse.NOT_SERVING
    said = [line for line in lines if line["event"] == "gateway.refuses_our_token"]
    assert [(line["log_level"], line["token_shown"]) for line in said] == [("error", own is not None)]
    assert not any(token in str(lines) for token in (OWN, UNKNOWN))


async def test_items_on_an_open_stream_are_answered_when_the_gateway_takes_us_no_longer(tmp_path: Path) -> None:
    """A gateway that comes back with other tokens: each item has an answer, GATEWAY_UNAVAILABLE with a time to come
    again, and the stream goes on.
    """
    async with tokens_on_both(tmp_path) as pair:
        address = pair.gateway.server.address
        call = pair.stub.StreamRecognize(metadata=bearer(SHOP), timeout=60)
        await call.write(config())
        await call.read()
        await call.write(source("before", image(1)))
        assert outcome((await call.read()).answer) == "OK"
        await pair.gateway.server.stop(0)
        others = tokens_file(tmp_path, "others.yaml", stranger=UNKNOWN)
        async with running_gateway(ScriptedProvider(), listen=address, tokens_file=others):
            for number in range(2):
                await call.write(source(f"after{number}", image(2 + number)))
            answers = [(await call.read()).answer for _ in range(2)]
            await call.done_writing()
            assert await call.read() is grpc.aio.EOF
    assert sorted(answer.request_id for answer in answers) == ["after0", "after1"]
    assert {outcome(answer) for answer in answers} == {"GATEWAY_UNAVAILABLE"}
    assert {answer.error.code for answer in answers} == {grpc.StatusCode.UNAVAILABLE.value[0]}
    retry = error_details_pb2.RetryInfo()
    assert any(detail.Unpack(retry) for detail in answers[0].error.details)
    assert retry.retry_delay.seconds == 5


async def test_a_link_is_refused_and_says_so_again_after_it_was_taken(tmp_path: Path) -> None:
    """Pages and the question for providers end with the same error; each beginning of the trouble is a log line."""
    states: list[bool] = []

    async def on_state(reachable: bool) -> None:
        states.append(reachable)

    tokens = tokens_file(tmp_path, preprocess=OWN)
    async with running_pair(ScriptedProvider(), gateway={"tokens_file": tokens}) as pair:
        link = GatewayLink(
            open_channel(pair.gateway.server.address),
            retry_s=3600,
            connect_timeout_s=TIMEOUT_S,
            on_state=on_state,
            random_source=random.Random(1),
            token=SecretStr(UNKNOWN),
        )
        with capture_logs() as lines:
            for _ in range(2):
                with pytest.raises(GatewayRefusesService):
                    await link.list_providers()
                with pytest.raises(GatewayRefusesService):
                    await link.open_route(recognition_pb2.RecognitionConfig())
                await link.tell(True)
        await link.close()
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["gateway.refuses_our_token"] * 2
    assert states == [False, True, False, True]


async def test_tokens_and_tls_on_both(tmp_path: Path) -> None:
    """The whole way: the caller by TLS and token to the service, the service by TLS, token and certificate to the
    gateway; in the clear neither is to be had.
    """
    authority = CertificateAuthority(tmp_path)
    gateway = as_server(
        authority.issue("gateway"),
        tokens_file=tokens_file(tmp_path, "gateway.yaml", preprocess=OWN),
        tls_client_ca_file=authority.cert_file,
    )
    settings = as_server(
        authority.issue("preprocess"),
        tokens_file=tokens_file(tmp_path, "preprocess.yaml", shop=SHOP),
        gateway_token_file=token_file(tmp_path, OWN),
        **as_caller(authority, authority.issue("client")),
    )
    async with running_pair(ScriptedProvider(), gateway=gateway, **settings) as pair:
        async with open_channel(pair.server.address, ca_file=authority.cert_file) as channel:
            stub = PreprocessServiceStub(channel)
            assert await read(stub, bearer(SHOP)) == ["OK", "OK"]
            refused = stub.Recognize(unary(image(3)), metadata=bearer(UNKNOWN), timeout=TIMEOUT_S)
            assert await failure(refused) == (grpc.StatusCode.UNAUTHENTICATED, "CALLER_UNAUTHENTICATED")
        with pytest.raises(grpc.aio.AioRpcError) as in_the_clear:
            await pair.stub.Recognize(unary(image(4)), metadata=bearer(SHOP), timeout=TIMEOUT_S)
        assert in_the_clear.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("case", ["expired", "of a stranger", "no client certificate", "an expired client certificate"])
async def test_a_certificate_that_does_not_hold_is_not_taken(tmp_path: Path, case: str) -> None:
    """The service does not talk to such a gateway, nor such a gateway to it; callers get GATEWAY_UNAVAILABLE."""
    authority, stranger = CertificateAuthority(tmp_path), CertificateAuthority(tmp_path, "stranger")
    mutual = "client" in case
    gateway = as_server(authority.issue("gateway", expired=case == "expired"))
    if mutual:
        gateway["tls_client_ca_file"] = authority.cert_file
    own = authority.issue("client", expired=True) if case == "an expired client certificate" else None
    settings = as_caller(stranger if case == "of a stranger" else authority, own)
    async with running_pair(ScriptedProvider(), gateway=gateway, gateway_retry_s=0.1, **settings) as pair:
        assert await failure(pair.stub.Recognize(unary(image(1)), timeout=TIMEOUT_S)) == UNAVAILABLE


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"gateway_cert_file": "a", "gateway_ca_file": "b"}, "gateway_cert_file and gateway_key_file belong together"),
        ({"gateway_key_file": "a"}, "gateway_cert_file and gateway_key_file belong together"),
        ({"gateway_cert_file": "a", "gateway_key_file": "b"}, "gateway_cert_file needs gateway_ca_file"),
    ],
)
def test_half_a_certificate_is_a_wrong_setting(settings: dict[str, Any], fault: str) -> None:
    """It is not left out in silence, nor is TLS."""
    with pytest.raises(SettingsInvalid, match=fault):
        PreprocessSettings(**settings)


async def test_a_token_file_without_a_token_is_a_wrong_setting(tmp_path: Path) -> None:
    """The service does not start without the token that it was to have."""
    settings = PreprocessSettings(gateway_token_file=token_file(tmp_path, ""))
    with pytest.raises(SettingsInvalid, match=r"^gateway_token_file: .* does not hold a token"):
        PreprocessProcess(settings, DrainSignal())
