"""A YAML file of settings, and faults of settings that name the key, where it stands and what is wrong with it.

What a key is set to is never repeated: it may be a secret.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

Location = tuple[str | int, ...]
"""A key's path: names, and indices from 0."""

_REWORDED = (
    (r"^Value error, ", ""),
    (r"^Input should be a valid dictionary or instance of \w+", "keys of its own are expected below it"),
    (r"^Input should be", "it should be"),
    (r"^Field required", "is required"),
    (r"^(List|Tuple) should have at least (\d+) item.*", r"at least \2 is expected"),
)


class SettingsInvalid(Exception):
    """Settings that cannot be used. Each of ``faults`` is a line of its own that names a key."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(self.faults))


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """A file that was read; ``lines`` says where each key stands, counted from 1."""

    path: Path
    content: Mapping[str, Any]
    lines: Mapping[Location, int]

    def place(self, location: Location) -> str:
        """Where the key stands, or the nearest one around it; empty when nothing of it is in the file."""
        for end in range(len(location), 0, -1):
            if location[:end] in self.lines:
                return f"{self.path}, line {self.lines[location[:end]]}"
        return ""


def read_settings_file(path: Path, setting: str = "config_file") -> SettingsFile:
    """The file's settings; a key with no value at the top level counts as left out. ``setting`` is what names the file.

    Raises SettingsInvalid with one line when it cannot be read, is no YAML, or gives a key twice.
    """
    try:
        loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
        root = loader.get_single_node()
        content = {} if root is None else loader.construct_document(root)
    except OSError as error:
        raise _unreadable(setting, path, error.strerror or type(error).__name__) from None
    except UnicodeDecodeError:
        raise _unreadable(setting, path, "it is not UTF-8") from None
    except yaml.YAMLError as error:
        raise _unreadable(setting, path, _yaml_fault(error)) from None
    if content is None:
        return SettingsFile(path, {}, {})
    if not isinstance(content, dict):
        raise _unreadable(setting, path, "it holds no settings: lines of `key: value` are expected")
    twice: list[str] = []
    lines = dict(_key_lines(root, (), twice, ()))
    if twice:
        raise SettingsInvalid(twice)
    return SettingsFile(path, {key: value for key, value in content.items() if value is not None}, lines)


def fault_at(location: Location, message: str) -> ValidationError:
    """What a validator raises for a fault of a key inside of what it validates."""
    return faults_at([(location, message)])


def faults_at(faults: Sequence[tuple[Location, str]]) -> ValidationError:
    """What a validator raises for several faults at once; ``faults`` is not empty."""
    lines = [
        InitErrorDetails(type=PydanticCustomError("setting", message), loc=location, input=None)
        for location, message in faults
    ]
    return ValidationError.from_exception_data("settings", lines, hide_input=True)


def suggestion(name: str, known: Iterable[str]) -> str:
    """``; did you mean X?`` when one of ``known`` is close to ``name``, otherwise which there are."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(names) or 'none'}"


def with_suggestions(error: ValidationError, known: Iterable[str]) -> ValidationError:
    """The same error, with a suggestion for each key of its own level that is not ``known``."""
    names = tuple(known)
    faults: list[tuple[Location, str]] = []
    for line in error.errors(include_url=False, include_input=False):
        message = line["msg"]
        if line["type"] == "extra_forbidden" and len(line["loc"]) == 1:
            message = f"no such key{suggestion(str(line['loc'][0]), names)}"
        faults.append((line["loc"], message))
    return faults_at(faults)


def describe_faults(error: ValidationError, env_prefix: str | None, file: SettingsFile | None) -> Iterator[str]:
    """One line for each fault: ``KEY (where it was set): what is wrong``, without the value.

    ``env_prefix`` None: nothing of it can be set by the environment.
    """
    given = {name.upper() for name in os.environ}
    for line in error.errors(include_url=False, include_input=False):
        # <x> is the variant of a union and [key] says that the name itself is wrong; neither is a part of the path.
        location = tuple(part for part in line["loc"] if not re.fullmatch(r"<.*>|\[key\]", str(part)))
        key = ".".join(map(str, location)) or "settings"
        variable = "" if env_prefix is None else _variable(location, env_prefix, given)
        place = variable or (file.place(location) if file else "")
        message = line["msg"]
        for said, meant in _REWORDED:
            message = re.sub(said, meant, message)
        yield f"{key} ({place}): {message}" if place else f"{key}: {message}"


def _variable(location: Location, env_prefix: str, given: Iterable[str]) -> str:
    for end in range(len(location), 0, -1):
        name = f"{env_prefix}{'__'.join(map(str, location[:end]))}".upper()
        if name in given:
            return f"from {name}"
    return ""


def _unreadable(setting: str, path: Path, why: str) -> SettingsInvalid:
    return SettingsInvalid([f"{setting}: {path} cannot be used: {why}"])


def _yaml_fault(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if isinstance(error, yaml.composer.ComposerError | yaml.constructor.ConstructorError):
        problem = "an alias, tag or value that has no meaning here"
    else:
        problem = getattr(error, "problem", None) or "it has characters that cannot stand in YAML"
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark else problem


def _key_lines(
    node: yaml.Node, location: Location, twice: list[str], around: tuple[yaml.Node, ...]
) -> Iterator[tuple[Location, int]]:
    """The line of each key below ``node``; what stands there twice is told to ``twice``."""
    if node in around:  # an alias of what it is in
        return
    if isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            yield (*location, index), child.start_mark.line + 1
            yield from _key_lines(child, (*location, index), twice, (*around, node))
    elif isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, child in node.value:
            line = key.start_mark.line + 1
            name = str(key.value)
            if name in seen:
                path = ".".join(map(str, (*location, name)))
                twice.append(f"{path} (line {line}): stands here a second time, after line {seen[name]}")
            seen[name] = line
            yield (*location, name), line
            yield from _key_lines(child, (*location, name), twice, (*around, node))
