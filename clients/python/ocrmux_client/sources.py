"""Which files are to be read: what PATH arguments name, in a stable order, walked as they are needed."""

from __future__ import annotations

import asyncio
import glob
import os
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from pathlib import Path

from ocrmux_client.errors import UsageProblem

STANDARD_INPUT = "-"
_RASTER = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".bmp", ".dib", ".webp", ".gif", ".jp2", ".j2k")
_RARER = (".pbm", ".pgm", ".ppm", ".pnm", ".heic", ".heif", ".hif", ".avif")
SUFFIXES = frozenset((*_RASTER, *_RARER, ".pdf"))
_AHEAD = 64


def check_paths(arguments: Sequence[str]) -> None:
    """Raises UsageProblem, one line for all of them, if arguments name nothing.

    Names on standard input are not looked at: a missing one is an error of that item alone, when its turn comes.
    """
    if list(arguments).count(STANDARD_INPUT) > 1:
        raise UsageProblem("standard input (-) can be named once only")
    missing: list[str] = []
    unmatched: list[str] = []
    for argument in arguments:
        if argument == STANDARD_INPUT or os.path.lexists(argument):
            continue
        if not glob.has_magic(argument):
            missing.append(argument)
        elif not any(_matches(argument)):
            unmatched.append(argument)
    told = [
        f"there is no file or folder {', '.join(missing)}" if missing else "",
        f"nothing matches {', '.join(unmatched)}" if unmatched else "",
    ]
    if missing or unmatched:
        raise UsageProblem(f"{'; '.join(filter(None, told))} (nothing was read)")


def check_outside(arguments: Sequence[str], folder: Path) -> None:
    """Raises UsageProblem if an argument names a file that lies in ``folder`` itself, where a result could take its
    name. Folders that are walked leave ``folder`` out anyway.
    """
    target = folder.resolve()
    for argument in arguments:
        if argument == STANDARD_INPUT:
            continue
        named = [argument] if os.path.lexists(argument) or not glob.has_magic(argument) else _matches(argument)
        for path in map(Path, named):
            if not path.is_dir() and path.parent.resolve() == target:
                raise UsageProblem(f"{path} lies in --out {folder} itself; results go to another folder")


def walk(
    arguments: Sequence[str], *, without: Path | None = None, lines: Iterable[str] | None = None
) -> Iterator[Path]:
    """The files that the arguments name, each once; blocks while folders, or standard input, are read.

    Folders are walked recursively in the order of names, hidden files and the folder ``without`` left out, and give
    only files whose suffix is that of an image or a document; a file that is named is given whatever it is called.
    ``lines`` stands for standard input.
    """
    seen: set[str] | None = set() if len(arguments) > 1 or STANDARD_INPUT in arguments else None
    excluded = without.resolve() if without is not None else None
    for argument in arguments:
        for path in _named_by(argument, excluded, lines):
            if seen is not None:
                if str(path) in seen:
                    continue
                seen.add(str(path))
            yield path


def common_root(arguments: Sequence[str]) -> Path:
    """The deepest folder that holds everything the arguments name; the working folder when that is not known."""
    bases = [_base(argument) for argument in arguments]
    return Path(os.path.commonpath(bases)) if bases else Path.cwd()


async def read_ahead(walked: Iterator[Path]) -> AsyncGenerator[Path, None]:
    """The paths of a walk that blocks, walked by a daemon thread, so that an interrupt never waits for a slow pipe.

    At most 64 are found ahead of their use.
    """
    loop = asyncio.get_running_loop()
    found: asyncio.Queue[Path | Exception | None] = asyncio.Queue()
    room = threading.Semaphore(_AHEAD)
    left = threading.Event()

    def hand_over(event: Path | Exception | None) -> bool:
        room.acquire()
        if left.is_set():
            return False
        try:
            loop.call_soon_threadsafe(found.put_nowait, event)
        except RuntimeError:
            return False  # the loop was closed: nobody waits any more
        return True

    def run() -> None:
        try:
            for path in walked:
                if not hand_over(path):
                    return
        except Exception as error:
            hand_over(error)  # raised by the reader
        else:
            hand_over(None)

    threading.Thread(target=run, name="sources", daemon=True).start()
    try:
        while (event := await found.get()) is not None:
            room.release()
            if isinstance(event, Exception):
                raise event
            yield event
    finally:
        left.set()
        room.release()


def count(walked: Iterator[Path], counted: Callable[[int], None]) -> None:
    """Counts a walk on a daemon thread of its own and tells the sum once it is done."""

    def run() -> None:
        counted(sum(1 for _ in walked))

    threading.Thread(target=run, name="sources-count", daemon=True).start()


def _named_by(argument: str, excluded: Path | None, lines: Iterable[str] | None) -> Iterator[Path]:
    if argument == STANDARD_INPUT:
        for line in sys.stdin if lines is None else lines:
            if name := line.rstrip("\r\n"):
                yield from _at(Path(name), excluded)
    elif os.path.lexists(argument) or not glob.has_magic(argument):
        yield from _at(Path(argument), excluded)
    else:
        for name in sorted(_matches(argument)):
            path = Path(name)
            if not path.is_dir():
                yield path
            elif "**" not in argument:  # ** names the folder's files as well
                yield from _at(path, excluded)


def _at(path: Path, excluded: Path | None) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    if excluded is not None and path.resolve() == excluded:
        return
    try:
        with os.scandir(path) as scanned:
            entries = sorted(
                (entry for entry in scanned if not entry.name.startswith(".")), key=lambda entry: entry.name
            )
    except OSError:
        yield path  # given as if it were a file, so that it is answered, and listed, as what could not be read
        return
    for entry in entries:
        child = path / entry.name
        if entry.is_dir(follow_symlinks=False):
            yield from _at(child, excluded)
        elif child.suffix.lower() in SUFFIXES and not entry.is_dir():
            yield child


def _matches(pattern: str) -> Iterator[str]:
    return glob.iglob(pattern, recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern


def _base(argument: str) -> str:
    if argument == STANDARD_INPUT:
        return str(Path.cwd())
    path = Path(argument)
    if not os.path.lexists(argument) and glob.has_magic(argument):
        while glob.has_magic(str(path)):
            path = path.parent
        return os.path.normpath(path.absolute())
    return os.path.normpath((path if path.is_dir() else path.parent).absolute())
