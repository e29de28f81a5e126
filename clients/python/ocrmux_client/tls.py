"""TLS of a connection, from PEM files."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc

_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"


@dataclass(frozen=True, slots=True)
class Tls:
    """What a server's certificate is checked against, and a certificate of the client's own for mutual TLS.

    ``ca_file``: PEM; None: the system's roots. ``cert_file`` and ``key_file``: PEM, both or neither, the key without a
    password. Files are read when a client is made.
    """

    ca_file: Path | str | None = None
    cert_file: Path | str | None = None
    key_file: Path | str | None = None

    def __post_init__(self) -> None:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file belong together: give both or neither")

    def credentials(self) -> grpc.ChannelCredentials:
        """The credentials of a channel. Raises OSError, and ValueError for files without what they are to hold."""
        roots = _system_roots() if self.ca_file is None else _certificates(Path(self.ca_file))
        if self.cert_file is None or self.key_file is None:
            return grpc.ssl_channel_credentials(roots)
        chain, key = _certificates(Path(self.cert_file)), Path(self.key_file).read_bytes()
        _check_pair(Path(self.cert_file), Path(self.key_file))
        return grpc.ssl_channel_credentials(roots, key, chain)


def _certificates(path: Path) -> bytes:
    content = path.read_bytes()
    if _CERTIFICATE not in content:
        raise ValueError(f"{path} has no PEM certificate")
    return content


def _check_pair(cert_file: Path, key_file: Path) -> None:
    """gRPC itself would say nothing until a server refuses the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_cert_chain(cert_file, key_file, password="")  # never asks for one at the terminal
    except ssl.SSLError as error:
        raise ValueError(f"{key_file} is no unencrypted PEM key of the certificate in {cert_file}") from error


def _system_roots() -> bytes | None:
    """The roots that this Python trusts, as PEM; None, which stands for gRPC's own list, where it knows none."""
    known = ssl.create_default_context().get_ca_certs(binary_form=True)
    if known:
        return "".join(map(ssl.DER_cert_to_PEM_cert, known)).encode()
    folder = ssl.get_default_verify_paths().capath  # a folder is read by OpenSSL in a handshake only
    files = sorted(Path(folder).glob("*.[0-9]")) if folder else []
    return b"\n".join(file.read_bytes() for file in files if file.is_file()) or None
