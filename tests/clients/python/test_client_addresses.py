"""Addresses to call and to listen at."""

from __future__ import annotations

import socket

import pytest

from ocrmux_client.errors import UsageProblem
from ocrmux_client.listen_address import check_free
from ocrmux_client.target_address import checked_target


@pytest.mark.parametrize(
    "target",
    [
        "localhost:50051",
        "127.0.0.1:1",
        "ocr_1.internal-net:65535",
        "[::1]:50051",
        "[fe80::1%eth0]:50051",
        "unix:/run/ocrmux.sock",
        "unix:relative.sock",
        "unix:///run/ocrmux.sock",
        "unix-abstract:ocrmux",
        "dns:///ocrmux.internal:50051",
        "dns://8.8.8.8/ocrmux:50051",
        "dns:///ocrmux",
        "ipv4:10.0.0.1:50051,10.0.0.2:50051",
        "ipv6:[::1]:50051",
    ],
)
def test_a_target_that_grpc_understands_is_taken_as_it_is(target: str) -> None:
    """HOST:PORT, IPv6 in brackets, unix and dns."""
    assert checked_target(target) == target


@pytest.mark.parametrize(
    "target",
    [
        *("nonsense", "foo:bar", "foo:", ":50051", "foo:0", "foo:65536", "::1:50051"),
        *("unix:", "dns:///", "a b:1", "a:1/x", "ipv4:a:1", "ipv6:::1:1"),
    ],
)
def test_a_malformed_target_is_bad_usage(target: str) -> None:
    """No port, no number, no brackets: told at once, with the forms that are taken."""
    with pytest.raises(UsageProblem, match="--target wants HOST:PORT"):
        checked_target(target)


def test_a_free_port_and_any_port_pass() -> None:
    """Port 0 always, a port that nobody holds, and one whose last connection has just ended."""
    check_free("127.0.0.1", 0, "--port")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
        accepted.close()
        client.close()
    check_free("127.0.0.1", port, "--port")


def test_what_cannot_be_listened_at_is_told() -> None:
    """A taken port with its number and its option; a host that is not here."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(UsageProblem, match=rf"port {port} of 127\.0\.0\.1 is taken; choose another by --port"):
            check_free("127.0.0.1", port, "--port")
    with pytest.raises(UsageProblem, match=r"cannot listen on 192\.0\.2\.1 at port 0"):
        check_free("192.0.2.1", 0, "--port")
