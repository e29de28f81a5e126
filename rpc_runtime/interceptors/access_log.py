"""One canonical line a call: method, peer, caller, code, duration, items."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import grpc
import structlog

from rpc_runtime.call_context import CallFacts
from rpc_runtime.interceptors import Context, Proceed

_log = structlog.get_logger("rpc_runtime.access")
_INFRASTRUCTURE = ("/grpc.health.", "/grpc.reflection.")


async def access_log(facts: CallFacts, context: Context, proceed: Proceed) -> Any:
    """Logs the call when it ends, however it ends. Health and reflection are logged at level debug."""
    began = time.monotonic()
    code = "OK"
    try:
        return await proceed()
    except asyncio.CancelledError:
        code = "CANCELLED"
        raise
    except BaseException:
        code = _code_name(context.code())
        raise
    finally:
        log = _log.debug if facts.method.startswith(_INFRASTRUCTURE) else _log.info
        log(
            "rpc.call",
            method=facts.method,
            peer=facts.peer,
            caller=facts.caller,
            code=code,
            duration_ms=round((time.monotonic() - began) * 1000, 3),
            items=facts.items,
            failed_items=facts.failed_items,
        )


def _code_name(code: Any) -> str:
    if isinstance(code, grpc.StatusCode):
        return code.name
    return next((known.name for known in grpc.StatusCode if known.value[0] == code), "UNKNOWN")
