"""Whether a server is there, asked before the first call."""

from __future__ import annotations

import asyncio

import grpc

from ocrmux_client.errors import OcrMuxError

_CHECK = "/grpc.health.v1.Health/Check"
_CAUSE_TIMEOUT_S = 0.5


async def until_serving(
    channel: grpc.aio.Channel, plain: grpc.aio.Channel, target: str, service: str, timeout_s: float
) -> None:
    """Returns once ``channel`` has a server that serves. Raises OcrMuxError.

    That is UNAVAILABLE, with the cause, if there is none within ``timeout_s``; UNIMPLEMENTED as soon as a server
    answers, on ``plain``, which looks at no health, that it has no such service.
    """
    ready, check = asyncio.ensure_future(channel.channel_ready()), asyncio.ensure_future(_check(plain, service))
    try:
        async with asyncio.timeout(timeout_s):
            await asyncio.wait({ready, check}, return_when=asyncio.FIRST_COMPLETED)
            if not ready.done() and await check is grpc.StatusCode.NOT_FOUND:
                raise OcrMuxError(grpc.StatusCode.UNIMPLEMENTED, "", f"the server at {target} has no {service}")
            await ready
    except TimeoutError as error:
        message = f"nothing serves at {target} within {timeout_s:g} s{await _cause(channel)}"
        raise OcrMuxError(grpc.StatusCode.UNAVAILABLE, "", message) from error
    finally:
        ready.cancel()
        check.cancel()
        await asyncio.gather(ready, check, return_exceptions=True)


async def _check(channel: grpc.aio.Channel, service: str) -> grpc.StatusCode:
    """What a health service says of a service, whatever its state: OK, NOT_FOUND; or why it says nothing."""
    try:
        await _checking(channel)(_request(service), wait_for_ready=True)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def _cause(channel: grpc.aio.Channel) -> str:
    """Why the channel has no server, as a call that does not wait is told; empty where that is not known."""
    try:
        await _checking(channel)(_request(""), timeout=_CAUSE_TIMEOUT_S)
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.UNAVAILABLE and error.details():
            return f": {error.details()}"
    return ""


def _checking(channel: grpc.aio.Channel) -> grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]:
    return channel.unary_unary(_CHECK, request_serializer=bytes, response_deserializer=bytes)


def _request(service: str) -> bytes:
    """A grpc.health.v1.HealthCheckRequest by hand: the package that has it is for servers."""
    name = service.encode()
    return b"\x0a" + bytes([len(name)]) + name
