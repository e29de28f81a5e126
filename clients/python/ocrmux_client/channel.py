"""Channels to servers: many replicas, bounds on messages, pings; and what goes with every call."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Sequence

import grpc

MESSAGE_MAX_BYTES = 64 << 20
KEEPALIVE_S = 60
PREPROCESS_SERVICE = "ocrmux.preprocess.v1.PreprocessService"
GATEWAY_SERVICE = "ocrmux.gateway.v1.OcrGatewayService"

_RECONNECT_MAX_MS = 2_000
_TOKEN = re.compile(r"[\x21-\x7e]+")
_ADDRESS = re.compile(r"(\[(?P<bracketed>[^\]]*)\]|(?P<plain>[^:]*))(:\d+)?")
_HEADER = re.compile(r"[\x20-\x7e]*")


def open_channel(target: str, credentials: grpc.ChannelCredentials | None, health_of: str) -> grpc.aio.Channel:
    """A channel to all addresses of the target, calls round robin; connects when it is first used.

    Only addresses whose health service says SERVING for ``health_of`` are called, or that have no health service; all,
    where it is empty. In the clear without credentials.
    """
    options: list[tuple[str, str | int]] = [
        ("grpc.service_config", _service_config(health_of)),
        ("grpc.max_receive_message_length", MESSAGE_MAX_BYTES),
        ("grpc.max_send_message_length", MESSAGE_MAX_BYTES),
        ("grpc.keepalive_time_ms", KEEPALIVE_S * 1000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.keepalive_permit_without_calls", 0),
        ("grpc.http2.max_pings_without_data", 0),  # no bound: else gRPC falls silent after two
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.max_reconnect_backoff_ms", _RECONNECT_MAX_MS),  # so that our own next try meets a server that is back
        ("grpc.enable_http_proxy", 0 if is_loopback(target) else 1),
    ]
    if credentials is not None:
        return grpc.aio.secure_channel(target, credentials, options)
    return grpc.aio.insecure_channel(target, options)


def call_metadata(
    token: str | None, tenant: str | None, metadata: Sequence[tuple[str, str]]
) -> tuple[tuple[str, str], ...]:
    """What goes with every call. Raises ValueError for a token or tenant that no header can hold."""
    told = list(metadata)
    if token is not None:
        if not _TOKEN.fullmatch(token):
            raise ValueError("a token is printable ASCII without blanks, one character or more")
        told.append(("authorization", f"Bearer {token}"))
    if tenant:
        if not _HEADER.fullmatch(tenant):
            raise ValueError("a tenant is printable ASCII: 1 to 64 letters, digits and any of . _ -")
        told.append(("ocrmux-tenant", tenant))
    return tuple(told)


def check_token_is_safe(target: str, *, is_encrypted: bool) -> None:
    """Raises ValueError where a token would leave this machine in the clear."""
    if not is_encrypted and not is_loopback(target):
        raise ValueError(f"a token is not sent in the clear: {target} is not on this machine, and there is no TLS")


def is_loopback(target: str) -> bool:
    """Whether every address of the target is on this machine, by its text: no look-up."""
    scheme, _, rest = target.partition(":")
    match scheme:
        case "unix" | "unix-abstract":
            return True
        case "ipv4" | "ipv6":
            return all(_is_loopback_host(address) for address in rest.split(","))
        case "dns":
            return _is_loopback_host(rest.rpartition("/")[2])
        case _:
            return _is_loopback_host(target)


def _is_loopback_host(address: str) -> bool:
    match = _ADDRESS.fullmatch(address)
    if match is None:
        return False
    host = match["bracketed"] or match["plain"] or ""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _service_config(health_of: str) -> str:
    config: dict[str, object] = {"loadBalancingConfig": [{"round_robin": {}}]}
    if health_of:
        config["healthCheckConfig"] = {"serviceName": health_of}
    return json.dumps(config)
