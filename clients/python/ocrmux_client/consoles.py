"""The command's words for people, on standard error."""

from __future__ import annotations

import os

from rich.console import Console


def error_console() -> Console:
    """Standard error."""
    return Console(stderr=True, highlight=False)


def say(console: Console, text: str) -> None:
    """The text as it is, its lines not broken anew."""
    console.print(text, markup=False, soft_wrap=True)


def silence_stdout() -> None:
    """Nothing more can be written to a reader that has left; what is still buffered goes nowhere."""
    null_fd = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null_fd, 1)
    os.close(null_fd)
