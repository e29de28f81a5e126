"""Targets that do what a decoder must never do, to prove that the fuzzer sees it."""

from __future__ import annotations

import os
import signal


def ends_the_process(_content: bytes) -> str:
    """As a fault in native code would."""
    os.kill(os.getpid(), signal.SIGSEGV)
    return "never"


def never_returns(_content: bytes) -> str:
    """As a loop in native code would."""
    while True:
        signal.pause()


def takes_all_memory(_content: bytes) -> str:
    """As a bomb would."""
    return str(len(bytes(1 << 40)))


def raises_a_bug(content: bytes) -> str:
    """As a decoder that forgot to translate its library's error would."""
    return str(content[len(content)])
