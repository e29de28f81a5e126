"""``ocrmux token NAME``: a new token for a caller, and the line by which the services know it."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from typing import Annotated

import typer

from ocrmux_client.consoles import error_console, say

PREFIX = "ocrmux_"
"""By it a token is found where it should not be, as in a repository."""
_RANDOM_BYTES = 32
_SAID = (
    "The first line is the token: give it to the caller, it is kept nowhere. The second one goes under `keys:` in the "
    "file of tokens_file, of each service that is to take it."
)


def new_token() -> str:
    """A token of 256 random bits."""
    return PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def key_line(name: str, token: str) -> str:
    """The entry of a file of tokens, as YAML; of the token it has the SHA-256 alone."""
    digest = hashlib.sha256(token.encode()).hexdigest()
    return f"- {{name: {json.dumps(name)}, sha256: {json.dumps(digest)}}}"


def _checked_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name):
        raise typer.BadParameter("a name has 1 to 64 letters, digits and any of . _ -")
    return name


def token(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", callback=_checked_name, help="Who will use it; stands in the services' logs."),
    ],
) -> None:
    """Makes a token for a caller, and the line for the services' file of tokens.

    Nothing is kept: the token stands on standard output alone, the line below it.
    """
    made = new_token()
    typer.echo(made)
    typer.echo(key_line(name, made))
    say(error_console(), _SAID)
