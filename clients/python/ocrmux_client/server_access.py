"""How the commands reach a running server: its address, TLS, and who asks."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import grpc

from ocrmux_client.backoff import Backoff
from ocrmux_client.channel import call_metadata, check_token_is_safe
from ocrmux_client.client import OcrMuxClient
from ocrmux_client.errors import UsageProblem
from ocrmux_client.target_address import checked_target
from ocrmux_client.tls import Tls

TOKEN_VARIABLE = "OCRMUX_TOKEN"  # noqa: S105 - a name

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ServerAccess:
    """An address, or none where services are started for the command, and what goes with calls to it."""

    target: str = ""
    credentials: grpc.ChannelCredentials | None = None
    token: str | None = None
    tenant: str | None = None

    def client(self, backoff: Backoff | None = None) -> OcrMuxClient:
        """A client of the server."""
        return OcrMuxClient(
            self.target, credentials=self.credentials, token=self.token, tenant=self.tenant, backoff=backoff
        )


def server_access(
    target: str,
    *,
    tls: bool = False,
    ca_file: Path | None = None,
    cert_file: Path | None = None,
    key_file: Path | None = None,
    token_file: Path | None = None,
    tenant: str = "",
) -> ServerAccess:
    """The access that a command's options tell of, its files read. Raises UsageProblem.

    The token is that of ``token_file``, else of the environment's OCRMUX_TOKEN.
    """
    files = {"--ca-file": ca_file, "--cert-file": cert_file, "--key-file": key_file}
    given = [name for name, file in files.items() if file is not None] + ["--tls"] * tls
    if given and not target:
        raise UsageProblem(f"{given[0]} goes with --target: services started for this run are on loopback")
    if (cert_file is None) != (key_file is None):
        raise UsageProblem("--cert-file and --key-file belong together")
    checked = checked_target(target) if target else ""
    credentials = _told(Tls(ca_file, cert_file, key_file).credentials) if given else None
    token = _token(token_file)
    _told(lambda: call_metadata(token, tenant, ()))
    if token is not None and checked:
        try:
            check_token_is_safe(checked, is_encrypted=credentials is not None)
        except ValueError as error:
            raise UsageProblem(f"{error}; give --tls, or --ca-file FILE") from error
    return ServerAccess(checked, credentials, token, tenant or None)


def _token(file: Path | None) -> str | None:
    if file is None:
        return os.environ.get(TOKEN_VARIABLE, "").strip() or None
    token = _told(lambda: file.read_text(encoding="utf-8")).strip()
    if not token:
        raise UsageProblem(f"--token-file {file} is empty")
    return token


def _told(read: Callable[[], T]) -> T:
    """A file that cannot be used is a line for a person."""
    try:
        return read()
    except OSError as error:
        raise UsageProblem(f"{error.filename} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise UsageProblem(str(error)) from error
