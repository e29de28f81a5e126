"""The caller's tenant, on its way through the preprocess service."""

from __future__ import annotations

from collections.abc import Iterable

import grpc
import pytest

from ocr_gateway import translation
from ocr_gateway.model import Caller
from tests.fakes.gateway_messages import image, outcome, reason_of, status_of
from tests.fakes.preprocess_calls import unary
from tests.fakes.preprocess_messages import config, source
from tests.fakes.providers import ScriptedProvider
from tests.fakes.servers import running_pair


@pytest.fixture
def callers(monkeypatch: pytest.MonkeyPatch) -> list[Caller]:
    """Whose calls the gateway has seen."""
    seen: list[Caller] = []
    make = translation.caller_of

    def caller_of(metadata: Iterable[tuple[str, str | bytes]], source: str) -> Caller:
        seen.append(make(metadata, source))
        return seen[-1]

    monkeypatch.setattr("ocr_gateway.servicer.caller_of", caller_of)
    return seen


async def test_every_call_to_the_gateway_has_the_callers_tenant(callers: list[Caller]) -> None:
    """Contents and digests go to the gateway under the tenant of the one who sent the file, side by side too."""
    async with running_pair(ScriptedProvider()) as pair:
        streams = {}
        for tenant in ("one", "two", ""):
            metadata = (("ocrmux-tenant", tenant),) if tenant else ()
            streams[tenant] = pair.stub.StreamRecognize(metadata=metadata, timeout=60)
            await streams[tenant].write(config())
            await streams[tenant].read()
        for tenant, stream in streams.items():
            await stream.write(source("1", image(1)))
            assert outcome((await stream.read()).answer) == "OK", tenant
            await stream.done_writing()
        await pair.stub.Recognize(unary(image(2)), metadata=(("ocrmux-tenant", "three"),), timeout=60)
    assert {caller.tenant for caller in callers} == {"one", "two", "", "three"}
    assert len({caller.source for caller in callers}) == len(callers)


async def test_a_wrong_tenant_is_refused_as_the_gateway_refuses_it() -> None:
    """The status of the gateway comes through, in a unary call and on a stream."""
    wrong = (("ocrmux-tenant", "no names with spaces"),)
    async with running_pair(ScriptedProvider()) as pair:
        for call in (
            pair.stub.Recognize(unary(image(1)), metadata=wrong, timeout=60),
            pair.stub.StreamRecognize(iter([config()]), metadata=wrong, timeout=60).read(),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await call
            assert failed.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert reason_of(status_of(failed.value)) == "FIELD_INVALID"
