"""Ends a call that raises with the status that its error has in the service's fault table."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from grpc_status import rpc_status

from rpc_runtime.call_context import CallFacts
from rpc_runtime.faults import FaultTable
from rpc_runtime.interceptors import CallLayer, Context, Proceed
from rpc_runtime.protocol_errors import CallerGone


def fault_boundary(faults: FaultTable) -> CallLayer:
    """The innermost layer. A cancel passes through, and so does a call that its handler ended itself."""

    async def boundary(_facts: CallFacts, context: Context, proceed: Proceed) -> Any:
        try:
            return await proceed()
        except (asyncio.CancelledError, grpc.aio.AbortError):
            raise
        except CallerGone as error:
            raise asyncio.CancelledError from error
        except Exception as error:
            if context.done():
                raise asyncio.CancelledError from error  # the caller is gone: nobody to tell
            status = rpc_status.to_status(faults.status_of(error))
            await context.abort(status.code, status.details or "", status.trailing_metadata or ())

    return boundary
