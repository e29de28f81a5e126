"""How the C library keeps memory that Python and gRPC let go of."""

from __future__ import annotations

import ctypes
import gc

_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_MMAPPED_FROM_BYTES = 256 * 1024
_ARENAS = 2
_COLLECT_AFTER = (10_000, 20, 50)
"""Objects, and collections of the younger generation; Python's own are (700, 10, 10)."""


def return_large_blocks() -> None:
    """Has blocks of 256 KiB and more, which images are, go back to the system when they are freed (mallopt(3)).

    glibc would raise that threshold by itself with the first image, up to 32 MiB, and keep what follows in its heaps,
    with gaps that are never given back. Two heaps besides, whatever the number of threads. Does nothing with other C
    libraries.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    mallopt(_M_MMAP_THRESHOLD, _MMAPPED_FROM_BYTES)
    mallopt(_M_ARENA_MAX, _ARENAS)


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
