"""How the process keeps memory that it has done with, and when it looks for garbage."""

from __future__ import annotations

import asyncio
import ctypes
import gc
from collections.abc import Callable

_M_ARENA_MAX = -8
_ARENAS = 2
_WORTH_IT_BYTES = 16 * 1024 * 1024
_AFTER_S = 1.0
_COLLECT_AFTER = (10_000, 20, 50)
"""Objects, and collections of the younger generation; Python's own are (700, 10, 10)."""


class HeapReturn:
    """Gives the system back what the C library keeps of freed memory, once the server is idle after it held a lot.

    glibc keeps freed images in its heaps, up to 200 MB of them here, for requests to come. Returning each by itself
    (M_MMAP_THRESHOLD) costs twice the processor time of a large image; a trim (malloc_trim(3)) takes milliseconds, on a
    thread, when nobody is kept waiting. Does nothing with other C libraries.
    """

    def __init__(self) -> None:
        library = ctypes.CDLL(None)
        self._trim: Callable[[int], int] | None = getattr(library, "malloc_trim", None)
        self._timer: asyncio.TimerHandle | None = None
        if hasattr(library, "mallopt"):
            library.mallopt(_M_ARENA_MAX, _ARENAS)  # fewer heaps than threads, which would each keep their own

    def idle(self, most_bytes: int) -> None:
        """Nothing is held any more; at the most it was ``most_bytes`` of images."""
        if self._trim is not None and self._timer is None and most_bytes >= _WORTH_IT_BYTES:
            self._timer = asyncio.get_running_loop().call_later(_AFTER_S, self._begin, self._trim)

    def _begin(self, trim: Callable[[int], int]) -> None:
        self._timer = None
        asyncio.get_running_loop().run_in_executor(None, trim, 0)


def set_start_aside() -> None:
    """Keeps the garbage collector from stopping the process for long; called once the service serves.

    What the start has made is taken out of its sight, as it stays for good: a full collection over the 85 000 objects
    of the imports takes 30 ms, long enough to send a call so late that it falls into another second of a provider's
    quota. And full collections become rare: with 20 000 items in flight one takes 800 ms. Nearly all memory is given
    back by reference counts; what is collected are cycles, such as those of exceptions.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)
