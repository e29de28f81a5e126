"""How a command ends."""

from __future__ import annotations

import enum


class ExitStatus(enum.IntEnum):
    """The process's exit status."""

    OK = 0
    SOME_FAILED = 1
    NOT_STARTED = 2
    INTERRUPTED = 130
