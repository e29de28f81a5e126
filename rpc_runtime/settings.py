"""The settings that every server has. A service derives its own, with its own prefix."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from rpc_runtime.settings_source import (
    Location,
    SettingsFile,
    SettingsInvalid,
    describe_faults,
    faults_at,
    read_settings_file,
    with_suggestions,
)

MIB = 1024 * 1024
_FILE_KEY = "config_file"


class SettingsSection(BaseModel):
    """Settings that belong together under one key. Frozen; an unknown key is a fault that says which ones are known."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)

    @model_validator(mode="wrap")
    @classmethod
    def _unknown_keys_are_named(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(given)
        except ValidationError as error:
            raise with_suggestions(error, cls.model_fields) from None


class ServerSettings(BaseSettings):
    """One server process. Times are in seconds, sizes in bytes.

    Set by arguments before the environment before a YAML file before the defaults; the file is that of the setting
    ``config_file``, for a service that has one. Making one raises SettingsInvalid, and nothing else, when a setting is
    wrong.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, hide_input_in_errors=True)

    listen: str = Field(description="Address to listen on, HOST:PORT; port 0 takes a free one.")
    ready_file: Path | None = Field(default=None, description="Gets the bound HOST:PORT once the server serves.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least that is logged."
    )
    log_format: Literal["auto", "json", "pretty"] = Field(
        default="auto", description="auto: pretty on a terminal, json elsewhere."
    )
    tls_cert_file: Path | None = Field(
        default=None, description="PEM certificate chain; with tls_key_file turns TLS on."
    )
    tls_key_file: Path | None = Field(default=None, description="PEM private key of tls_cert_file.")
    tls_client_ca_file: Path | None = Field(default=None, description="PEM; callers must show a certificate of it.")
    tokens_file: Path | None = Field(
        default=None, description="YAML; callers must show a token of it. None: whoever reaches the server is served."
    )
    reflection: bool = Field(default=True, description="Serve grpc.reflection, for grpcurl and ghz.")
    max_message_bytes: int = Field(default=16 * MIB, ge=64 * 1024, description="Of one request message.")
    max_calls: int = Field(default=1024, ge=1, description="Calls in progress; one more gets SERVER_BUSY.")
    stream_max_items: int = Field(default=32, ge=1, description="Items in flight of one stream.")
    stream_max_bytes: int = Field(default=64 * MIB, ge=1, description="Bytes in flight of one stream.")
    total_max_items: int = Field(default=1024, ge=1, description="Items in flight of all streams.")
    total_max_bytes: int = Field(default=96 * MIB, ge=1, description="Bytes in flight of all streams.")
    unary_max_bytes: int = Field(default=256 * MIB, ge=1, description="Bytes in flight of all unary calls.")
    max_item_bytes: int = Field(default=50 * MIB, ge=1, description="Bytes of one image or document.")
    item_timeout_s: float = Field(default=300.0, gt=0, description="An item's time where the caller says none.")
    max_item_timeout_s: float = Field(default=3600.0, gt=0, description="The longest time that a caller can ask for.")
    drain_grace_s: float = Field(default=30.0, ge=0, description="After SIGTERM, to finish what was accepted.")
    drain_linger_s: float = Field(default=0.5, gt=0, description="A drained stream that is idle this long is ended.")

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            prefix = str(self.model_config.get("env_prefix", ""))
            raise SettingsInvalid(describe_faults(error, prefix, self._file(values))) from None
        except SettingsError as error:
            raise SettingsInvalid([self._undecodable(error)]) from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, environment, file. Raises SettingsInvalid when the file cannot be used."""
        file = cls._file(init_settings.init_kwargs if isinstance(init_settings, InitSettingsSource) else {})
        if file is None:
            return init_settings, env_settings
        faults = list(cls.faults_of_file(file.content))
        if _FILE_KEY in file.content:
            faults.append(((_FILE_KEY,), "a file of settings does not name another one"))
        if faults:
            raise SettingsInvalid(describe_faults(faults_at(faults), "", file))
        return init_settings, env_settings, InitSettingsSource(settings_cls, init_kwargs=dict(file.content))

    @classmethod
    def faults_of_file(cls, content: Mapping[str, Any]) -> list[tuple[Location, str]]:  # noqa: ARG003 - a hook
        """What may not stand in a file, although it may be set otherwise. ``content`` is not yet validated."""
        return []

    @classmethod
    def unknown_variables(cls) -> list[str]:
        """Variables of the environment that have the settings' prefix and are none of them.

        No fault, since an orchestrator sets some of its own; those that Kubernetes sets for a service are left out.
        """
        prefix = str(cls.model_config.get("env_prefix", "")).upper()
        known = {name.upper() for name in cls.model_fields}
        tails = {name: name.upper().removeprefix(prefix) for name in os.environ if name.upper().startswith(prefix)}
        return sorted(
            name
            for name, tail in tails.items()
            if tail.split("__")[0] not in known and not re.match(r"(PORT|SERVICE)(_|$)", tail)
        )

    @classmethod
    def _file(cls, values: Mapping[str, Any]) -> SettingsFile | None:
        if _FILE_KEY not in cls.model_fields:
            return None
        variable = f"{cls.model_config.get('env_prefix', '')}{_FILE_KEY}".upper()
        path = values.get(_FILE_KEY) or next((v for k, v in os.environ.items() if k.upper() == variable), None)
        return read_settings_file(Path(path)) if path else None

    @classmethod
    def _undecodable(cls, error: SettingsError) -> str:
        """A variable that is to hold JSON and does not; its text is not repeated."""
        found = re.search(r'field "(\w+)"', str(error))
        key = found.group(1) if found else "settings"
        names = f"{cls.model_config.get('env_prefix', '')}{key}".upper()
        given = sorted(name for name in os.environ if name.upper().startswith(names))
        return f"{key} (from {', '.join(given)}): a list or a section is given as JSON in the environment"

    @model_validator(mode="wrap")
    @classmethod
    def _unknown_keys_are_named(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(given)
        except ValidationError as error:
            raise with_suggestions(error, cls.model_fields) from None

    @model_validator(mode="after")
    def _tls_is_whole(self) -> ServerSettings:
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError("tls_cert_file and tls_key_file belong together: set both or neither")
        if self.tls_client_ca_file is not None and self.tls_cert_file is None:
            raise ValueError("tls_client_ca_file needs tls_cert_file and tls_key_file")
        return self
