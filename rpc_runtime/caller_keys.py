"""The keys that callers are let in by: a YAML file of names and of SHA-256 digests of tokens.

A plain SHA-256 is enough, because a token is 256 random bits: there is no list of likely ones to try, and a slow hash
would be paid for at each call. Tokens that people think up have no place here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from rpc_runtime.settings import SettingsSection
from rpc_runtime.settings_source import Location, SettingsInvalid, describe_faults, faults_at, read_settings_file

SETTING = "tokens_file"


def _name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", value):
        raise ValueError("a name has 1 to 64 letters, digits and any of . _ -")
    return value


def _digest(value: str) -> str:
    if not re.fullmatch(r"[0-9A-Fa-f]{64}", value):
        raise ValueError("64 hexadecimal digits are expected, the SHA-256 of the token: never the token itself")
    return value.lower()


class CallerKey(SettingsSection):
    """One token, by its digest, and the name that its callers have in the log."""

    name: Annotated[str, AfterValidator(_name)] = Field(description="As it stands in the log.")
    sha256: Annotated[str, AfterValidator(_digest)] = Field(description="Of the token, in hexadecimal digits.")


class _TokensFile(SettingsSection):
    """The whole file."""

    keys: tuple[CallerKey, ...]

    @model_validator(mode="after")
    def _is_a_list_of_different_keys(self) -> Self:
        faults: list[tuple[Location, str]] = [] if self.keys else [(("keys",), "at least 1 is expected")]
        for field in ("name", "sha256"):
            values = [getattr(key, field) for key in self.keys]
            for index, value in enumerate(values):
                if value in values[:index]:
                    faults.append((("keys", index, field), f"is that of keys.{values.index(value)} too"))
        if faults:
            raise faults_at(faults)
        return self


class CallerKeys:
    """Who a token belongs to.

    A look-up by the token's digest takes no longer for a guess that is nearly right: what a guesser could learn from
    its time are bits of a digest, which do not lead back to the token.
    """

    def __init__(self, keys: Iterable[CallerKey]) -> None:
        self._names = {bytes.fromhex(key.sha256): key.name for key in keys}

    def name_of(self, token: str) -> str | None:
        """The name of the key that ``token`` is, or None."""
        return self._names.get(hashlib.sha256(token.encode()).digest())

    def __len__(self) -> int:
        return len(self._names)


def read_tokens_file(path: Path) -> CallerKeys:
    """The file's keys. Raises SettingsInvalid, whose faults name the key and its line and repeat no value."""
    file = read_settings_file(path, SETTING)
    try:
        return CallerKeys(_TokensFile.model_validate(dict(file.content)).keys)
    except ValidationError as error:
        raise SettingsInvalid(f"{SETTING}: {fault}" for fault in describe_faults(error, None, file)) from None
