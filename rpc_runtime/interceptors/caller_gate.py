"""Lets calls in by their token, before anything of them is read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc
from grpc_health.v1 import health

from rpc_runtime.bearer_token import bearer_token
from rpc_runtime.call_context import set_caller
from rpc_runtime.caller_keys import CallerKeys
from rpc_runtime.interceptors import CallLayer, Context, layered
from rpc_runtime.protocol_errors import CallerUnauthenticated

_OPEN = f"/{health.SERVICE_NAME}/"


class CallerGate(grpc.aio.ServerInterceptor):
    """The outermost interceptor. A call without a token of ``keys`` is ended with CallerUnauthenticated, whether its
    method exists or not; health is open, since balancers have no tokens.

    A refused call reaches ``layers`` (context, log, fault boundary) and nothing else: it is neither counted nor let
    wait, whatever the server has to do, and no message of it is received, which for a unary call would be an image.
    """

    def __init__(self, keys: CallerKeys, layers: Sequence[CallLayer]) -> None:
        self._keys = keys
        self._layers = tuple(layers)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """What serves the call; for one that is not let in, what refuses it."""
        method = str(handler_call_details.method)
        if not method.startswith(_OPEN):
            try:
                set_caller(self._name_of(handler_call_details))
            except CallerUnauthenticated as refusal:
                return layered(self._layers, method, _refusing(refusal))
        return await continuation(handler_call_details)

    def _name_of(self, call: grpc.HandlerCallDetails) -> str:
        name = self._keys.name_of(bearer_token(call.invocation_metadata or ()))
        if name is None:
            raise CallerUnauthenticated("the call's token is not one of this server's")
        return name


def _refusing(refusal: CallerUnauthenticated) -> Any:
    """A handler that raises. It takes a stream, of which it reads nothing: for a unary method, gRPC would receive the
    request before the handler is asked.
    """

    async def refuse(_requests: Any, _context: Context) -> None:
        raise refusal

    return grpc.stream_stream_rpc_method_handler(refuse)
