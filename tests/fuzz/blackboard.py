"""The file that a child is working on, in memory which its parent can read when the child is dead."""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.mutations import MAX_BYTES

_HEAD = struct.Struct("<QQQL")
_SIZE = _HEAD.size + MAX_BYTES


@dataclass(frozen=True, slots=True)
class Work:
    """The number of the execution, when it began (monotonic nanoseconds), the processor time that the child had taken
    by then, and its file.
    """

    number: int
    began_ns: int
    began_cpu_ns: int
    content: bytes = field(repr=False)


class Blackboard:
    """Written by one child, read by its parent. Made empty where there is none."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(_SIZE))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _SIZE)

    def write(self, work: Work) -> None:
        """Tells what is begun now."""
        self._memory[_HEAD.size : _HEAD.size + len(work.content)] = work.content
        self._memory[: _HEAD.size] = _HEAD.pack(work.number, work.began_ns, work.began_cpu_ns, len(work.content))

    def read(self) -> Work | None:
        """What was begun last; None before the first file. Torn only while the child writes."""
        number, began_ns, began_cpu_ns, length = _HEAD.unpack(self._memory[: _HEAD.size])
        if not began_ns:
            return None
        return Work(number, began_ns, began_cpu_ns, bytes(self._memory[_HEAD.size : _HEAD.size + length]))

    def close(self) -> None:
        """Lets go of the memory."""
        self._memory.close()
