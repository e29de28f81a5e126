"""``python -m tests.bench.echo_server``: a bare grpc.aio bidirectional echo, the floor that services are held against.

For each request it sends one answer of ECHO_ANSWER_BYTES bytes.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import uvloop


async def _echo(requests: AsyncIterator[bytes], _context: Any) -> AsyncIterator[bytes]:
    answer = bytes(int(os.environ["ECHO_ANSWER_BYTES"]))
    async for _ in requests:
        yield answer


async def _serve() -> None:
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", 16 * 1024 * 1024)])
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(_echo)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Echo", {"Stream": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    ready = Path(os.environ["ECHO_READY_FILE"])
    part = ready.with_suffix(".part")
    part.write_text(f"127.0.0.1:{port}")
    part.replace(ready)
    await server.wait_for_termination()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve())
