"""What a worker process may do: its memory, its files, its signals, its kin. Linux keeps all of it, others a part."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_MAX_OPEN_FILES = 64
"""A PDF's fonts are looked up in the system's files; nothing else is opened."""


def leave_signals_to_parent() -> None:
    """Makes the process end with its parent, and ignore the signals that a terminal or a supervisor sends to all.

    The service decides when its workers end: it drains first. It kills them, or closes their socket.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _set(_PR_SET_PDEATHSIG, signal.SIGKILL)


def close_to_neighbours() -> None:
    """Keeps other processes of the same user out of this one: they can neither trace it nor read its memory, its
    environment and its open files (PR_SET_DUMPABLE(2const), ptrace(2)). A debugger needs CAP_SYS_PTRACE from then on.

    For the service as for its workers: a file that takes a worker over then has the service's secrets no nearer.
    """
    _set(_PR_SET_DUMPABLE, 0)


def gain_no_privileges() -> None:
    """Whatever the process may execute, it gains no rights by it (PR_SET_NO_NEW_PRIVS(2const))."""
    _set(_PR_SET_NO_NEW_PRIVS, 1)


def set_ceilings(memory_bytes: int) -> None:
    """Lets the process take so many bytes more than it has now, write no file, dump no core and open few files. Threads
    it may start: libde265 decodes no HEIC without one.

    The ceiling is RLIMIT_DATA: since Linux 4.7 it counts every private writable mapping, and so whatever NumPy, OpenCV
    and the decoders allocate; RLIMIT_AS would count the libraries' code too, which costs no memory of its own. Beyond
    it an allocation fails: a MemoryError in Python, an error or an end by SIGABRT in a library.
    """
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, 0)
    _lower(resource.RLIMIT_NOFILE, _MAX_OPEN_FILES)
    if sys.platform == "linux":
        _lower(resource.RLIMIT_DATA, _data_bytes() + memory_bytes)


def silence() -> None:
    """Sends what libraries write to the standard streams to nowhere."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)


def _set(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _lower(limit: int, value: int) -> None:
    """Sets both bounds; a lower one that the process was started with stays."""
    most = resource.getrlimit(limit)[1]
    if most != resource.RLIM_INFINITY:
        value = min(value, most)
    resource.setrlimit(limit, (value, value))


def _data_bytes() -> int:
    """What counts for RLIMIT_DATA now (proc_pid_status(5): VmData is in kB)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    raise OSError("the system does not tell the size of the process's data")
