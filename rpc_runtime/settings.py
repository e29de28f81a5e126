"""The settings that every server has. A service derives its own, with its own prefix."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings

MIB = 1024 * 1024


class ServerSettings(BaseSettings):
    """One server process. Times are in seconds, sizes in bytes."""

    model_config = {"frozen": True, "extra": "ignore"}

    listen: str = Field(description="Address to listen on, HOST:PORT; port 0 takes a free one.")
    ready_file: Path | None = Field(default=None, description="Gets the bound HOST:PORT once the server serves.")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "json", "pretty"] = "auto"
    tls_cert_file: Path | None = Field(
        default=None, description="PEM certificate chain; with tls_key_file turns TLS on."
    )
    tls_key_file: Path | None = None
    tls_client_ca_file: Path | None = Field(default=None, description="PEM; callers must show a certificate of it.")
    reflection: bool = Field(default=True, description="Serve grpc.reflection, for grpcurl and ghz.")
    max_message_bytes: int = Field(default=16 * MIB, ge=64 * 1024, description="Of one request message.")
    max_calls: int = Field(default=1024, ge=1, description="Calls in progress; one more gets SERVER_BUSY.")
    stream_max_items: int = Field(default=32, ge=1, description="Items in flight of one stream.")
    stream_max_bytes: int = Field(default=64 * MIB, ge=1, description="Bytes in flight of one stream.")
    total_max_items: int = Field(default=1024, ge=1, description="Items in flight of all streams.")
    total_max_bytes: int = Field(default=512 * MIB, ge=1, description="Bytes in flight of all streams.")
    unary_max_bytes: int = Field(default=256 * MIB, ge=1, description="Bytes in flight of all unary calls.")
    max_item_bytes: int = Field(default=50 * MIB, ge=1, description="Bytes of one image or document.")
    item_timeout_s: float = Field(default=300.0, gt=0, description="An item's time where the caller says none.")
    max_item_timeout_s: float = Field(default=3600.0, gt=0, description="The longest time that a caller can ask for.")
    drain_grace_s: float = Field(default=30.0, ge=0, description="After SIGTERM, to finish what was accepted.")
    drain_linger_s: float = Field(default=0.5, gt=0, description="A drained stream that is idle this long is ended.")

    @model_validator(mode="after")
    def _tls_is_whole(self) -> ServerSettings:
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError("tls_cert_file and tls_key_file belong together: set both or neither")
        if self.tls_client_ca_file is not None and self.tls_cert_file is None:
            raise ValueError("tls_client_ca_file needs tls_cert_file and tls_key_file")
        return self
