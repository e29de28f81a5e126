"""Addresses of servers as a person types them."""

from __future__ import annotations

import re

from ocrmux_client.errors import UsageProblem

_HOST_PORT = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+(%\w+)?\]|[\w.-]+):(?P<port>\d{1,5})")
_DNS = re.compile(r"dns:(//[^/]*/)?(?P<name>\[[0-9A-Fa-f:.]+\]|[\w.-]+)(:(?P<port>\d{1,5}))?")
_IP_LIST = re.compile(
    r"ipv4:{v4}(,{v4})*|ipv6:{v6}(,{v6})*".format(v4=r"[\d.]+:\d{1,5}", v6=r"\[[0-9A-Fa-f:.]+\]:\d{1,5}")
)
_UNIX = re.compile(r"unix(-abstract)?:.+")


def checked_target(target: str) -> str:
    """The target as it is, if gRPC can make sense of it: no look-up, no call. Raises UsageProblem."""
    if _UNIX.fullmatch(target) or _IP_LIST.fullmatch(target):
        return target
    match = _DNS.fullmatch(target) or _HOST_PORT.fullmatch(target)
    if match is not None and (match["port"] is None or 1 <= int(match["port"]) <= 65535):
        return target
    scheme = " (without http://)" if target.lower().startswith(("http:", "https:")) else ""
    raise UsageProblem(
        f"--target wants HOST:PORT{scheme}, [IPv6]:PORT, unix:PATH, dns:///HOST:PORT or ipv4:IP:PORT,IP:PORT, with a "
        f"port of 1 to 65535, not {target!r}"
    )


def wrong_server(target: str, *, wanted: str, perhaps: str) -> UsageProblem:
    """What is said where a server does not know the call."""
    return UsageProblem(f"{target} is no {wanted}, perhaps a {perhaps}; --target wants the address of a {wanted} here")
