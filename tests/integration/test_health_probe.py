"""The probe of balancers and containers, at servers with tokens and TLS."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from rpc_runtime.health_probe import main
from tests.fakes.caller_tokens import SHOP, tokens_file
from tests.fakes.certificates import CertificateAuthority
from tests.fakes.providers import ScriptedProvider
from tests.fakes.servers import running_gateway


async def probe(*arguments: str) -> int:
    return await asyncio.to_thread(main, list(arguments))


async def test_a_server_with_tokens_is_asked_without_one(tmp_path: Path) -> None:
    """By the empty name and the service's own; a name that there is not fails."""
    async with running_gateway(ScriptedProvider(), tokens_file=tokens_file(tmp_path, shop=SHOP)) as gateway:
        address = gateway.server.address
        assert await probe(address) == 0
        assert await probe(address, "ocrmux.gateway.v1.OcrGatewayService") == 0
        assert await probe(address, "no.such.Service") == 1


async def test_a_server_with_mutual_tls_is_asked_with_a_certificate(tmp_path: Path) -> None:
    """Over TLS with a certificate of the right CA, and in no other way."""
    authority, stranger = CertificateAuthority(tmp_path), CertificateAuthority(tmp_path, "stranger")
    server, client = authority.issue("server"), authority.issue("client")
    async with running_gateway(
        ScriptedProvider(),
        tls_cert_file=server.cert_file,
        tls_key_file=server.key_file,
        tls_client_ca_file=authority.cert_file,
    ) as gateway:
        own = ("--cert-file", str(client.cert_file), "--key-file", str(client.key_file))
        right, wrong = ("--ca-file", str(authority.cert_file)), ("--ca-file", str(stranger.cert_file))
        outcomes = [await probe(gateway.server.address, *how) for how in ((*right, *own), (*wrong, *own), right, ())]
    assert outcomes == [0, 1, 1, 1]


async def test_a_missing_file_or_argument_is_bad_usage(tmp_path: Path) -> None:
    """Exit status 2."""
    assert await probe("127.0.0.1:1", "--ca-file", str(tmp_path / "nowhere.pem")) == 2
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
