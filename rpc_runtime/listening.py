"""What is said at the start of a server that listens to more than its own machine."""

from __future__ import annotations

import ipaddress

import structlog

from rpc_runtime.settings import ServerSettings

_log = structlog.get_logger("rpc_runtime.listening")


def warn_of_open_doors(settings: ServerSettings) -> None:
    """Warns in the log where anybody who reaches the server is served, and where tokens are sent to it unencrypted."""
    if is_local(settings.listen):
        return
    if settings.tokens_file is None and settings.tls_client_ca_file is None:
        _log.warning(
            "server.open_to_anybody",
            listen=settings.listen,
            mend="set tokens_file or tls_client_ca_file, or listen on loopback",
        )
    elif settings.tls_cert_file is None:
        _log.warning(
            "server.tokens_unencrypted",
            listen=settings.listen,
            mend="set tls_cert_file and tls_key_file, unless TLS ends in front of this server",
        )


def is_local(listen: str) -> bool:
    """Whether an address to listen on is of this machine alone. A name other than localhost is not taken for one."""
    if listen.startswith(("unix:", "unix-abstract:")):
        return True
    host = listen.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
