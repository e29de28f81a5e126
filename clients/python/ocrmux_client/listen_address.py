"""Whether a server could listen somewhere, asked before it is started."""

from __future__ import annotations

import errno
import socket

from ocrmux_client.errors import UsageProblem


def check_free(host: str, port: int, option: str) -> None:
    """Raises UsageProblem if nothing can listen at ``host`` and ``port``; ``option`` is what chose the port.

    Port 0 stands for any free one. Another process may still take the port before the server does.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise UsageProblem(f"--host {host} is no address of this machine: {error.strerror or error}") from error
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
        try:
            probe.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                taken = f"port {port} of {host} is taken; choose another by {option} (0: any free one)"
                raise UsageProblem(taken) from error
            raise UsageProblem(f"cannot listen on {host} at port {port}: {error.strerror or error}") from error
