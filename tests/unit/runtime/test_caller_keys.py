"""The file of callers' tokens: what is read from it, and what is said of a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from rpc_runtime.caller_keys import read_tokens_file
from rpc_runtime.settings_source import SettingsInvalid
from tests.fakes.caller_tokens import BATCH, SHOP, UNKNOWN, digest_of, tokens_file

ROOT = Path(__file__).resolve().parents[3]
D = digest_of(SHOP)
E = digest_of(BATCH)


def test_a_token_is_known_by_its_digest(tmp_path: Path) -> None:
    """Each token of the file has its key's name; any other, and the digest itself, has none."""
    keys = read_tokens_file(tokens_file(tmp_path, shop=SHOP, batch=BATCH))
    assert len(keys) == 2
    assert [keys.name_of(token) for token in (SHOP, BATCH)] == ["shop", "batch"]
    assert [keys.name_of(token) for token in (UNKNOWN, "", digest_of(SHOP), SHOP.upper(), f"{SHOP}x")] == [None] * 5


def test_digests_are_of_either_case(tmp_path: Path) -> None:
    """Hexadecimal digits may be capitals."""
    path = tmp_path / "tokens.yaml"
    path.write_text(f"keys:\n  - {{name: shop, sha256: {D.upper()}}}\n")
    assert read_tokens_file(path).name_of(SHOP) == "shop"


def test_the_example_is_right() -> None:
    """The file that is shipped as an example can be read."""
    assert len(read_tokens_file(ROOT / "deploy" / "tokens.example.yaml")) == 2


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", ["tokens_file: keys: is required"]),
        ("keys: []", ["tokens_file: keys (FILE, line 1): at least 1 is expected"]),
        ("keyz: []", ["tokens_file: keys: is required", "tokens_file: keyz (FILE, line 1): no such key; did you mean"]),
        ("- shop", ["tokens_file: FILE cannot be used: it holds no settings"]),
        ("keys: [", ["tokens_file: FILE cannot be used: line 1"]),
        (f"keys:\n- {{sha256: {D}}}", ["tokens_file: keys.0.name (FILE, line 2): is required"]),
        (f"keys:\n- {{name: a b, sha256: {D}}}", ["tokens_file: keys.0.name (FILE, line 2): a name has 1 to 64"]),
        (f"keys:\n- {{name: no, sha256: {D}}}", ["tokens_file: keys.0.name (FILE, line 2): it should be a valid str"]),
        (f"keys:\n- {{name: a, sha256: {SHOP}}}", ["tokens_file: keys.0.sha256 (FILE, line 2): 64 hexadecimal digits"]),
        (
            f"keys:\n- {{name: a, sha256: {D}}}\n- {{name: a, sha256: {E}}}",
            ["tokens_file: keys.1.name (FILE, line 3): is that of keys.0 too"],
        ),
        (
            f"keys:\n- {{name: a, sha256: {D}}}\n- {{name: b, sha256: {D.upper()}}}",
            ["tokens_file: keys.1.sha256 (FILE, line 3): is that of keys.0 too"],
        ),
        (
            f"keys:\n- {{name: a, sha256: {D}, token: {SHOP}}}",
            ["tokens_file: keys.0.token (FILE, line 2): no such key"],
        ),
    ],
)
def test_a_wrong_file_is_told_by_key_and_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, faults: list[str]
) -> None:
    """Each fault is a line with the setting, the key and its place, whatever the environment has; no value stands in
    it.
    """
    monkeypatch.setenv("KEYS", "of another program")
    path = tmp_path / "tokens.yaml"
    path.write_text(text)
    with pytest.raises(SettingsInvalid) as wrong:
        read_tokens_file(path)
    told = [fault.replace(str(path), "FILE") for fault in wrong.value.faults]
    assert len(told) == len(faults), told
    assert all(said.startswith(expected) for said, expected in zip(told, faults, strict=True)), told
    assert not any(value in " ".join(told) for value in (SHOP, D, E))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """So is a folder in its place: nobody is let in by mistake."""
    for path in (tmp_path / "nowhere.yaml", tmp_path):
        with pytest.raises(SettingsInvalid, match=r"^tokens_file: .* cannot be used: "):
            read_tokens_file(path)
