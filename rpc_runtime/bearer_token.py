"""Bearer tokens (RFC 6750) in a call's metadata, and the file of the one that a process itself shows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from pydantic import SecretStr

from rpc_runtime.protocol_errors import CallerUnauthenticated
from rpc_runtime.settings_source import SettingsInvalid

AUTHORIZATION_KEY = "authorization"
_CHARACTERS = r"[A-Za-z0-9._~+/-]+=*"
_BEARER = re.compile(rf"[Bb][Ee][Aa][Rr][Ee][Rr] +({_CHARACTERS})")


def bearer_token(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """The token of a call. Raises CallerUnauthenticated where there is none, or more than one entry to choose from.

    The scheme's name is of any case (RFC 9110). ``authorization-bin`` is another key, and not looked at.
    """
    entries = [value for key, value in metadata if key == AUTHORIZATION_KEY]
    if not entries:
        raise CallerUnauthenticated("the call has no token; `authorization: Bearer TOKEN` is expected in its metadata")
    if len(entries) > 1:
        raise CallerUnauthenticated("the call has several entries `authorization` in its metadata")
    found = _BEARER.fullmatch(entries[0]) if isinstance(entries[0], str) else None
    if found is None:
        raise CallerUnauthenticated("the call's `authorization` is not of the form `Bearer TOKEN`")
    return found.group(1)


def bearer_metadata(token: SecretStr | None) -> tuple[tuple[str, str], ...]:
    """What a call that shows ``token`` has in its metadata; nothing without one."""
    return ((AUTHORIZATION_KEY, f"Bearer {token.get_secret_value()}"),) if token is not None else ()


def read_token_file(path: Path, setting: str) -> SecretStr:
    """The token that the file holds, on one line; blanks around it do not count.

    Raises SettingsInvalid, which names ``setting`` and never says what stands in the file.
    """
    try:
        text = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsInvalid([f"{setting}: {path} cannot be read: {error.strerror or type(error).__name__}"]) from None
    except UnicodeDecodeError:
        text = ""
    if not re.fullmatch(_CHARACTERS, text):
        raise SettingsInvalid(
            [f"{setting}: {path} does not hold a token: one line of letters, digits and - . _ ~ + / is expected"]
        )
    return SecretStr(text)
