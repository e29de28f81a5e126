"""The gateway's settings: the environment, prefix GATEWAY_."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from rpc_runtime.settings import MIB, ServerSettings


def _default_cache_dir() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "ocrmux"


class GatewaySettings(ServerSettings):
    """One gateway process. Times are in seconds, sizes in bytes."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_", frozen=True, extra="ignore")

    listen: str = "127.0.0.1:50052"
    max_pixels: int = Field(default=100_000_000, ge=1, description="Of one image, by its header.")
    rapidocr_workers: int = Field(
        default_factory=lambda: max(1, os.cpu_count() or 1), ge=0, description="Threads of RapidOCR; 0 turns it off."
    )
    tesseract_workers: int = Field(
        default_factory=lambda: max(1, os.cpu_count() or 1), ge=0, description="Processes of Tesseract; 0 turns it off."
    )
    tesseract_binary: str = "tesseract"
    default_route: tuple[str, ...] = Field(
        default=("rapidocr", "tesseract"), description="Who reads text, first choice first."
    )
    cache_memory_bytes: int = Field(default=64 * MIB, ge=0, description="First level; 0 turns it off.")
    cache_dir: Path | None = Field(
        default_factory=_default_cache_dir, description="Second level, an SQLite file in this folder; empty: none."
    )
    cache_store_bytes: int = Field(default=1024 * MIB, ge=0, description="Second level, all values.")
    cache_max_value_bytes: int = Field(default=4 * MIB, ge=0, description="Second level, one value.")
    cache_ttl_s: float = Field(default=24 * 3600.0, gt=0, description="Both levels; the second with 10 % jitter.")
    cache_store_timeout_s: float = Field(default=0.1, gt=0, description="The most that the second level may cost.")
    cache_store_rest_s: float = Field(
        default=5.0, gt=0, description="The second level is bypassed so long when it fails."
    )

    @field_validator("cache_dir", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value
