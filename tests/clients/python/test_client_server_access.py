"""``ocrmux`` to a server with TLS and tokens: its options, and what is said of wrong ones."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import grpc
import pytest

from ocrmux_client.errors import UsageProblem
from ocrmux_client.server_access import server_access
from tests.clients.python.test_client_command_line import ocrmux
from tests.fakes.certificates import CertificateAuthority
from tests.fakes.stub_servers import StubPlan, stub_gateway, stub_preprocess


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    """A CA in a folder of its own."""
    folder = tmp_path / "tls"
    folder.mkdir()
    return CertificateAuthority(folder)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """One file to be read."""
    path = tmp_path / "page.png"
    path.write_bytes(b"page")
    return path


def credentials(authority: CertificateAuthority) -> grpc.ServerCredentials:
    """Of a server that wants a certificate."""
    own = authority.issue("server")
    return grpc.ssl_server_credentials(
        [(own.key_file.read_bytes(), own.cert_file.read_bytes())],
        root_certificates=authority.cert_file.read_bytes(),
        require_client_auth=True,
    )


async def test_tls_token_and_tenant_go_to_the_target(authority: CertificateAuthority, page: Path) -> None:
    """The options reach the calls; the token comes from a file, or from the environment where there is none."""
    own = authority.issue("caller")
    token_file = page.with_suffix(".token")
    token_file.write_text("from-file\n")
    plan = StubPlan()
    tls = ("--ca-file", authority.cert_file, "--cert-file", own.cert_file, "--key-file", own.key_file)
    environment = os.environ | {"OCRMUX_TOKEN": "from-environment"}
    async with stub_preprocess(plan, credentials=credentials(authority)) as target:
        by_file = await ocrmux(
            *("recognize", page, "--target", target, *tls, "--token-file", token_file, "--tenant", "shop"),
            env=environment,
        )
        by_environment = await ocrmux("recognize", page, "--target", target, *tls, env=environment)
    assert (by_file.status, by_environment.status) == (0, 0), by_file.err + by_environment.err
    assert [metadata["authorization"] for metadata in plan.metadata] == ["Bearer from-file", "Bearer from-environment"]
    assert plan.metadata[0]["ocrmux-tenant"] == "shop"
    assert "ocrmux-tenant" not in plan.metadata[1]


async def test_every_command_with_a_target_takes_them(authority: CertificateAuthority, page: Path) -> None:
    """providers, normalize and compare reach a server with mutual TLS as well; without a certificate nobody does."""
    own = authority.issue("caller")
    tls = ("--ca-file", authority.cert_file, "--cert-file", own.cert_file, "--key-file", own.key_file)
    async with stub_gateway(credentials(authority)) as gateway:
        listed = await ocrmux("providers", "--json", "--target", gateway, *tls)
        refused = await ocrmux("providers", "--target", gateway, "--ca-file", authority.cert_file)
    assert (listed.status, '"stub"' in listed.out) == (0, True)
    assert (refused.status, len(refused.err.splitlines())) == (2, 1)
    plan = StubPlan()
    async with stub_preprocess(plan, credentials=credentials(authority)) as target:
        compared = await ocrmux("compare", page, "--providers", "a,b", "--target", target, *tls, "--tenant", "shop")
        normalized = await ocrmux("normalize", page, "--out", page.with_suffix(".out"), "--target", target, *tls)
    assert compared.status == 0, compared.err
    assert plan.metadata[0]["ocrmux-tenant"] == "shop"
    assert "the stub has no such call" in normalized.err or "no preprocess service" in normalized.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"target": "ocr.example:1", "token_file": "token"}, "ocr.example:1 is not on this machine, and there is no"),
        ({"target": "ocr.example:1", "token_file": "token"}, "; give --tls, or --ca-file FILE"),
        ({"target": "localhost:1", "token_file": "gone"}, "gone cannot be read: No such file"),
        ({"target": "localhost:1", "token_file": "empty"}, "empty is empty"),
        ({"target": "localhost:1", "token_file": "two"}, "a token is printable ASCII without blanks"),
        ({"target": "localhost:1", "ca_file": "gone"}, "gone cannot be read: No such file"),
        ({"target": "localhost:1", "ca_file": "token"}, "token has no PEM certificate"),
        ({"target": "localhost:1", "ca_file": "."}, "cannot be read: Is a directory"),
        ({"target": "localhost:1", "cert_file": "token"}, "--cert-file and --key-file belong together"),
        ({"target": "", "ca_file": "token"}, "--ca-file goes with --target"),
        ({"target": "", "tls": True}, "--tls goes with --target"),
        ({"target": "nonsense"}, "--target wants HOST:PORT"),
    ],
)
def test_what_cannot_be_used_is_one_clear_line(
    arguments: dict[str, Any], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files are read before anything is started; no line has the token in it."""
    for name, content in {"token": "s3cret\n", "empty": "\n", "two": "s3cret words"}.items():
        (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    files: dict[str, Any] = {
        name: Path(value) if name.endswith("_file") else value for name, value in arguments.items()
    }
    with pytest.raises(UsageProblem) as caught:
        server_access(**files)
    assert told in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_the_environments_token_is_safe_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """OCRMUX_TOKEN is not sent in the clear to another machine, and an empty one is none."""
    monkeypatch.setenv("OCRMUX_TOKEN", "s3cret")
    with pytest.raises(UsageProblem, match="in the clear"):
        server_access("ocr.example:1")
    assert server_access("ocr.example:1", tls=True).token == "s3cret"
    assert server_access("").token == "s3cret"
    monkeypatch.setenv("OCRMUX_TOKEN", " ")
    assert server_access("ocr.example:1").token is None


async def test_a_refused_token_and_a_wrong_ca_are_told(authority: CertificateAuthority, page: Path) -> None:
    """In the clear to another machine: at once. A server of another authority: with the cause of the handshake."""
    clear = await ocrmux("recognize", page, "--target", "ocr.example:1", env=os.environ | {"OCRMUX_TOKEN": "s3cret"})
    assert clear.status == 2
    assert clear.err == (
        "ocrmux: a token is not sent in the clear: ocr.example:1 is not on this machine, and there is no TLS; "
        "give --tls, or --ca-file FILE\n"
    )
    stranger = CertificateAuthority(page.parent, "stranger")
    async with stub_preprocess(StubPlan(), credentials=credentials(authority)) as target:
        wrong = await ocrmux("recognize", page, "--target", target, "--ca-file", stranger.cert_file)
    assert wrong.status == 2
    assert "CERTIFICATE_VERIFY_FAILED" in wrong.err
