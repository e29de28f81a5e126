"""A child that is given nothing to read may end before anyone looks."""

from __future__ import annotations

import os

import uvloop

from ocr_gateway.providers.bounded_process import run_bounded


def test_a_child_that_ends_at_once_is_heard_on_the_servers_loop() -> None:
    """Without content a child has no pipe to be written to, so that its end can break none; twenty times running."""

    async def ask() -> list[bytes]:
        outcomes = [
            await run_bounded(["/bin/echo", "5.3"], environment=dict(os.environ), max_output_bytes=100, timeout_s=20)
            for _ in range(20)
        ]
        return [outcome.output for outcome in outcomes]

    assert uvloop.run(ask()) == [b"5.3\n"] * 20
