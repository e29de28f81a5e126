"""What a load goes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import grpc

from ocrmux_client.channel import MESSAGE_MAX_BYTES, call_metadata
from ocrmux_client.server_access import ServerAccess

_OPTIONS: tuple[tuple[str, str | int], ...] = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", MESSAGE_MAX_BYTES),
    ("grpc.max_send_message_length", MESSAGE_MAX_BYTES),
)


@dataclass(frozen=True, slots=True)
class LoadTarget:
    """A preprocess service at ``address``. In the clear without credentials; ``metadata`` goes with every stream."""

    address: str
    credentials: grpc.ChannelCredentials | None = None
    metadata: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, server: ServerAccess) -> Self:
        """The server that a command's options tell of."""
        return cls(server.target, server.credentials, call_metadata(server.token, server.tenant, ()))

    def open_channel(self) -> grpc.aio.Channel:
        """A channel with a connection of its own, as each of many callers has; never through an HTTP proxy."""
        if self.credentials is not None:
            return grpc.aio.secure_channel(self.address, self.credentials, list(_OPTIONS))
        return grpc.aio.insecure_channel(self.address, list(_OPTIONS))
