"""Runs a service as a module, and ends it with the process that started it.

``python -m ocrmux_client.leash FOLDER MODULE``: standard input is the leash, a pipe whose other end only the starter
holds. When it is let go, however the starter ended, FOLDER with the logs is removed, as nobody is left to do it, the
service is asked to stop by SIGTERM, and its whole process group is killed after a bound. Works on every POSIX system,
and covers the processes that the service started itself.
"""

from __future__ import annotations

import os
import runpy
import shutil
import signal
import sys
import threading
import time

GRACE_S = 8.0


def main() -> None:
    """Runs the module named by the second argument; the rest are its own arguments."""
    folder, module = sys.argv[1:3]
    sys.argv = [module, *sys.argv[3:]]
    leash_fd = os.dup(0)
    null_fd = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null_fd, 0)
    os.close(null_fd)
    threading.Thread(target=_hold, args=(leash_fd, folder), name="leash", daemon=True).start()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _hold(leash_fd: int, folder: str) -> None:
    while os.read(leash_fd, 1024):
        continue
    shutil.rmtree(folder, ignore_errors=True)  # the other service's leash does the same
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
