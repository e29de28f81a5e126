"""``ocrmux token``: a token and its line, as the services read it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ocrmux_client.cli import app
from rpc_runtime.bearer_token import bearer_token
from rpc_runtime.caller_keys import read_tokens_file
from tests.fakes.caller_tokens import bearer


@pytest.mark.parametrize("name", ["shop", "no", "2026.10", "a" * 64])
def test_the_line_lets_the_token_in(tmp_path: Path, name: str) -> None:
    """Standard output is the token and the line; the line alone makes a file that knows the token by the name."""
    outcome = CliRunner().invoke(app, ["token", name])
    assert outcome.exit_code == 0
    token, line = outcome.stdout.splitlines()
    path = tmp_path / "tokens.yaml"
    path.write_text(f"keys:\n{line}\n")
    assert read_tokens_file(path).name_of(bearer_token(bearer(token))) == name
    assert token not in line
    assert token not in outcome.stderr


def test_each_token_is_another_one_of_256_bits() -> None:
    """43 characters of base 64 behind the prefix, never the same."""
    tokens = {CliRunner().invoke(app, ["token", "shop"]).stdout.splitlines()[0] for _ in range(20)}
    assert len(tokens) == 20
    assert {(token.startswith("ocrmux_"), len(token)) for token in tokens} == {(True, 50)}


@pytest.mark.parametrize("name", ["", "a b", "a" * 65, "ä", "../x", "a\n"])
def test_a_name_that_no_file_takes_is_bad_usage(name: str) -> None:
    """Exit status 2, and no token."""
    outcome = CliRunner().invoke(app, ["token", name])
    assert (outcome.exit_code, outcome.stdout) == (2, "")
