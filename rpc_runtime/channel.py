"""A channel from one of our services to another."""

from __future__ import annotations

from pathlib import Path

import grpc

from rpc_runtime.credentials import channel_credentials


def open_channel(
    target: str, *, ca_file: Path | None = None, cert_file: Path | None = None, key_file: Path | None = None
) -> grpc.aio.Channel:
    """A channel to ``target``, over TLS where ``ca_file`` is given. Connects when it is first used. Raises OSError."""
    options: list[tuple[str, int]] = [
        ("grpc.max_receive_message_length", 64 * 1024 * 1024),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.max_reconnect_backoff_ms", 2_000),
    ]
    credentials = channel_credentials(ca_file, cert_file, key_file)
    if credentials is None:
        return grpc.aio.insecure_channel(target, options=options)
    return grpc.aio.secure_channel(target, credentials, options=options)
