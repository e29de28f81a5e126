"""What is said at the start of a server that others can reach."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from rpc_runtime.listening import is_local, warn_of_open_doors
from rpc_runtime.settings import ServerSettings

TLS = {"tls_cert_file": Path("server.pem"), "tls_key_file": Path("server.key")}
TOKENS = {"tokens_file": Path("tokens.yaml")}


@pytest.mark.parametrize(
    ("listen", "local"),
    [
        ("127.0.0.1:0", True),
        ("127.8.0.1:1", True),
        ("[::1]:1", True),
        ("localhost:1", True),
        ("unix:/run/ocrmux.sock", True),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("10.0.0.7:1", False),
        ("ocr.example:1", False),
        ("localhost.example:1", False),
    ],
)
def test_loopback_is_this_machine_alone(listen: str, local: bool) -> None:
    """A wildcard, another address and any other name are not."""
    assert is_local(listen) is local


@pytest.mark.parametrize(
    ("listen", "settings", "events"),
    [
        ("0.0.0.0:1", {}, ["server.open_to_anybody"]),
        ("0.0.0.0:1", TLS, ["server.open_to_anybody"]),
        ("0.0.0.0:1", TOKENS, ["server.tokens_unencrypted"]),
        ("0.0.0.0:1", TOKENS | TLS, []),
        ("0.0.0.0:1", TLS | {"tls_client_ca_file": Path("ca.pem")}, []),
        ("127.0.0.1:1", {}, []),
        ("127.0.0.1:1", TOKENS, []),
    ],
)
def test_open_doors_are_warned_of(listen: str, settings: dict[str, Any], events: list[str]) -> None:
    """On more than loopback: nobody is asked for a token or a certificate, or tokens come in the clear."""
    with capture_logs() as lines:
        warn_of_open_doors(ServerSettings(listen=listen, **settings))
    assert [line["event"] for line in lines] == events
    assert all(line["log_level"] == "warning" for line in lines)
