"""One client for every streaming subject: the same bytes up, nothing decoded on the way down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import grpc

from tests.fakes.processes import ServiceUnderTest

STREAMS = 8
IN_FLIGHT = 8


@dataclass(frozen=True, slots=True)
class LoadResult:
    """Messages a second, and processor milliseconds a message of each server process by the kernel."""

    messages_per_s: float
    cpu_ms: tuple[float, ...]


async def stream_load(
    address: str,
    method: str,
    opening: Sequence[bytes],
    answers_before: int,
    request: Callable[[int], bytes],
    messages: int,
    servers: Sequence[ServiceUnderTest],
    answers_in: Callable[[bytes], int] = lambda _: 1,
    items_a_message: int = 1,
    *,
    stream_count: int = STREAMS,
    in_flight: int = IN_FLIGHT,
) -> LoadResult:
    """Sends so many items over the streams, ``in_flight`` on each, and waits for an answer to every one.

    ``answers_in`` counts the answers in one response, for subjects that may send several. With several
    ``items_a_message``, ``messages`` still counts items, and two requests are in flight on each stream.
    """
    share = messages // stream_count // items_a_message * items_a_message
    async with grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        begin = asyncio.Barrier(stream_count + 1)

        async def one_stream() -> None:
            call: grpc.aio.StreamStreamCall[bytes, bytes] = channel.stream_stream(method)()
            for message in opening:
                await call.write(message)
            for _ in range(answers_before):
                await call.read()
            await begin.wait()
            room = asyncio.Semaphore(max(in_flight, 2 * items_a_message) if items_a_message > 1 else in_flight)

            async def send() -> None:
                for number in range(share // items_a_message):
                    for _ in range(items_a_message):
                        await room.acquire()
                    await call.write(request(number))
                await call.done_writing()

            sender = asyncio.create_task(send())
            left = share
            while left:
                response = await call.read()
                if not isinstance(response, bytes):
                    raise RuntimeError(f"{method} ended early: {await call.code()} {await call.details()}")
                answered = answers_in(response)
                left -= answered
                for _ in range(answered):
                    room.release()
            await sender

        streams = [asyncio.create_task(one_stream()) for _ in range(stream_count)]
        await begin.wait()
        cpu = [server.cpu_s for server in servers]
        began = time.perf_counter()
        await asyncio.gather(*streams)
        took_s = time.perf_counter() - began
        used = [server.cpu_s - before for server, before in zip(servers, cpu, strict=True)]
    done = share * stream_count
    return LoadResult(done / took_s, tuple(seconds * 1000 / done for seconds in used))
