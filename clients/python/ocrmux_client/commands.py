"""``ocrmux serve`` and ``ocrmux providers``."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from dataclasses import replace
from types import FrameType

import grpc
import typer
from rich.console import Console

from ocrmux.gateway.v1.gateway_pb2 import PROVIDER_STATE_STARTING, ListProvidersResponse
from ocrmux_client.backoff import Backoff
from ocrmux_client.consoles import error_console, say
from ocrmux_client.errors import OcrMuxError, ServicesNotRunning, UsageProblem
from ocrmux_client.exit_status import ExitStatus
from ocrmux_client.listen_address import check_free
from ocrmux_client.pair import ServicePair
from ocrmux_client.providers_table import providers_json, providers_table
from ocrmux_client.server_access import ServerAccess
from ocrmux_client.target_address import wrong_server

_SERVE_POLL_S = 0.2
_SETTLE_TIMEOUT_S = 20.0
_SETTLE_POLL_S = 0.2
_SERVING = """
preprocess service  {preprocess}  (images and documents in, results out)
gateway             {gateway}  (images that are fit for OCR)

try:  ocrmux recognize FILE --target {preprocess} --format txt
      ocrmux providers --target {gateway}
Ctrl-C stops both.
"""


def serve(host: str, preprocess_port: int, gateway_port: int) -> ExitStatus:
    """Runs the pair until SIGINT or SIGTERM; tells of it on standard output, logs on standard error.

    Raises UsageProblem for ports that cannot be had, ServicesNotRunning if the pair does not start.
    """
    if preprocess_port == gateway_port != 0:
        raise UsageProblem(f"both services cannot listen at port {gateway_port}")
    check_free(host, gateway_port, "--gateway-port")
    check_free(host, preprocess_port, "--preprocess-port")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)  # also where a script's & has it ignored
    try:
        with ServicePair(
            host=host, preprocess_port=preprocess_port, gateway_port=gateway_port, log_to_stderr=True
        ) as pair:
            typer.echo(_SERVING.format(preprocess=pair.preprocess_target, gateway=pair.gateway_target))
            try:
                while True:
                    time.sleep(_SERVE_POLL_S)
                    pair.check()
            except ServicesNotRunning as death:
                say(error_console(), f"ocrmux: {death}")
                return ExitStatus.SOME_FAILED
    except KeyboardInterrupt:
        return ExitStatus.OK


def providers(server: ServerAccess, *, as_json: bool) -> ExitStatus:
    """Prints the providers of this gateway, or of one started for the question where it has no target."""
    with contextlib.ExitStack() as stack:
        if not server.target:
            spinner = stack.enter_context(error_console().status("starting the gateway"))
            pair = stack.enter_context(ServicePair(gateway_only=True, told=spinner.update))
            server = replace(server, target=pair.gateway_target)
            response = asyncio.run(_list_settled_providers(server))
        else:
            response = asyncio.run(_list_providers(server))
    if as_json:
        typer.echo(providers_json(response))
    else:
        Console().print(providers_table(response))
    return ExitStatus.OK


async def _list_providers(server: ServerAccess) -> ListProvidersResponse:
    async with server.client(Backoff(attempts=2)) as client:
        try:
            return await client.list_providers()
        except OcrMuxError as error:
            if error.code is grpc.StatusCode.UNIMPLEMENTED:
                raise wrong_server(server.target, wanted="gateway", perhaps="preprocess service") from error
            raise OcrMuxError(error.code, error.reason, f"{server.target}: {error.message}") from error


async def _list_settled_providers(server: ServerAccess) -> ListProvidersResponse:
    """The list once no provider is being made ready any more, or after 20 seconds as it is then."""
    deadline_s = time.monotonic() + _SETTLE_TIMEOUT_S
    while True:
        response = await _list_providers(server)
        starting = any(provider.state == PROVIDER_STATE_STARTING for provider in response.providers)
        if not starting or time.monotonic() > deadline_s:
            return response
        await asyncio.sleep(_SETTLE_POLL_S)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
