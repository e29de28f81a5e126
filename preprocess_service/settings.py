"""The preprocess service's settings: the environment, prefix PREPROCESS_."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from rpc_runtime.settings import MIB, ServerSettings


class PreprocessSettings(ServerSettings):
    """One preprocess process. Times are in seconds, sizes in bytes."""

    model_config = SettingsConfigDict(env_prefix="PREPROCESS_", frozen=True, extra="ignore")

    listen: str = "127.0.0.1:50051"
    gateway_target: str = Field(default="127.0.0.1:50052", description="The gateway, as a gRPC target.")
    gateway_ca_file: Path | None = Field(default=None, description="PEM; turns TLS to the gateway on.")
    gateway_cert_file: Path | None = Field(default=None, description="PEM; shown to it, with gateway_key_file.")
    gateway_key_file: Path | None = Field(default=None, description="PEM private key of gateway_cert_file.")
    gateway_token_file: Path | None = Field(
        default=None, description="One line: the token that is shown to the gateway with each call."
    )
    gateway_retry_s: float = Field(default=10.0, ge=0, description="Pages are asked again so long when it goes away.")
    gateway_connect_timeout_s: float = Field(default=10.0, gt=0)
    workers: int = Field(
        default_factory=lambda: max(1, os.cpu_count() or 1), ge=1, description="Processes that decode and make pages."
    )
    worker_max_bytes: int = Field(
        default=512 * MIB,
        ge=64 * MIB,
        description="Memory that a page may take in its worker, beyond the 60 MB of an idle one; one that needs more "
        "fails. JPEGs and PNGs of more than 64 megapixels are read in grey, and fit.",
    )
    page_time_limit_s: float = Field(
        default=30.0, gt=0, description="A page that takes longer to decode and make fails; its worker is replaced."
    )
    pages_ahead: int = Field(default=16, ge=1, description="Pages of one document that are read at one time.")
    known_pages_bytes: int = Field(
        default=32 * MIB, ge=0, description="Memory for what is known of files normalised before; 0 turns it off."
    )
    max_pages_in_flight: int = Field(default=128, ge=1, description="Pages made and not yet read, of all streams.")
    max_pixels: int = Field(default=100_000_000, ge=1, description="Of one page, by its header.")
    max_pages: int = Field(default=2000, ge=1, description="Of one document.")
    page_max_side_px: int = Field(default=8192, ge=0, description="A longer side is brought down to it; 0: never.")
    page_max_pixels: int = Field(
        default=64_000_000, ge=0, description="A page is brought down to so many pixels; 0: never."
    )
    page_max_bytes: int = Field(default=20 * MIB, ge=0, description="Of a normalised page; 0: no limit.")

    @model_validator(mode="after")
    def _gateway_tls_is_whole(self) -> PreprocessSettings:
        if (self.gateway_cert_file is None) != (self.gateway_key_file is None):
            raise ValueError("gateway_cert_file and gateway_key_file belong together: set both or neither")
        if self.gateway_cert_file is not None and self.gateway_ca_file is None:
            raise ValueError("gateway_cert_file needs gateway_ca_file: without it there is no TLS to the gateway")
        return self
