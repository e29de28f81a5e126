"""Binds the call's facts to its task, and its id to every log line on its way."""

from __future__ import annotations

from typing import Any

import structlog

from rpc_runtime.call_context import CallFacts, set_current_call
from rpc_runtime.interceptors import Context, Proceed


async def request_context(facts: CallFacts, _context: Context, proceed: Proceed) -> Any:
    """The outermost layer."""
    set_current_call(facts)
    with structlog.contextvars.bound_contextvars(call_id=facts.call_id):
        return await proceed()
