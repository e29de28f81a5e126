"""A call's token by its metadata, and the file of a process's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from rpc_runtime.bearer_token import bearer_metadata, bearer_token, read_token_file
from rpc_runtime.protocol_errors import CallerUnauthenticated
from rpc_runtime.settings_source import SettingsInvalid
from tests.fakes.caller_tokens import SHOP, bearer


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "Bearer   "])
def test_the_scheme_is_of_any_case(scheme: str) -> None:
    """As RFC 9110 has it; other entries do not matter."""
    assert bearer_token([("user-agent", "x"), ("authorization", f"{scheme}{SHOP}")]) == SHOP


@pytest.mark.parametrize(
    "metadata",
    [
        (),
        (("authorization-bin", SHOP.encode()),),
        (("authorization", f"Bearer {SHOP}".encode()),),
        (("proxy-authorization", f"Bearer {SHOP}"),),
        (("authorization", SHOP),),
        (("authorization", f"Basic {SHOP}"),),
        (("authorization", "Bearer "),),
        (("authorization", f"Bearer{SHOP}"),),
        (("authorization", f"Bearer {SHOP},Bearer {SHOP}"),),
        (("authorization", f"Bearer {SHOP} {SHOP}"),),
        (("authorization", f"Bearer {SHOP}\n"),),
        (("authorization", f"Bearer {SHOP}é"),),
        (*bearer(SHOP), *bearer(SHOP)),
        (*bearer(SHOP), ("authorization", "Basic eA==")),
    ],
)
def test_anything_else_is_refused(metadata: tuple[tuple[str, str | bytes], ...]) -> None:
    """None, several, another key, scheme or form; what was shown is not repeated."""
    with pytest.raises(CallerUnauthenticated) as refused:
        bearer_token(metadata)
    assert SHOP not in str(refused.value)


def test_the_own_token_is_one_line_of_a_file(tmp_path: Path) -> None:
    """What stands around it does not count; it is hidden until it is sent."""
    path = tmp_path / "token"
    path.write_text(f"  {SHOP}\r\n\n")
    token = read_token_file(path, "gateway_token_file")
    assert SHOP not in repr(token)
    assert bearer_metadata(token) == bearer(SHOP)
    assert bearer_metadata(None) == ()


@pytest.mark.parametrize("content", [b"", b"\n", b"one\ntwo", b"Bearer token", b"t\xc3\xb6ken", b"\xff\xfe\x00"])
def test_a_file_without_a_token_is_told_by_its_setting(tmp_path: Path, content: bytes) -> None:
    """What stands in it is not repeated."""
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(SettingsInvalid) as wrong:
        read_token_file(path, "gateway_token_file")
    (fault,) = wrong.value.faults
    assert fault.startswith(f"gateway_token_file: {path} does not hold a token: ")
    path.unlink()
    with pytest.raises(SettingsInvalid, match=r"^gateway_token_file: .* cannot be read: No such file"):
        read_token_file(path, "gateway_token_file")
