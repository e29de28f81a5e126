"""Counts calls in progress, refuses those above the bound, and all new ones while the server drains."""

from __future__ import annotations

from typing import Any

from rpc_runtime.call_context import CallFacts
from rpc_runtime.drain import DrainSignal
from rpc_runtime.interceptors import CallLayer, Context, Proceed
from rpc_runtime.protocol_errors import Draining, ServerBusy

_UNCOUNTED = ("/grpc.health.", "/grpc.reflection.")


def call_admission(drain: DrainSignal, max_calls: int) -> CallLayer:
    """The layer. Health and reflection are always let in and never counted."""

    async def admission(facts: CallFacts, _context: Context, proceed: Proceed) -> Any:
        if facts.method.startswith(_UNCOUNTED):
            return await proceed()
        if drain.begun:
            raise Draining
        if drain.active_calls >= max_calls:
            raise ServerBusy("calls", max_calls)
        drain.call_began()
        try:
            return await proceed()
        finally:
            drain.call_ended()

    return admission
