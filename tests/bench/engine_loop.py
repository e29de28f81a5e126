"""``python -m tests.bench.engine_loop THREADS FOLDER``: RapidOCR called directly in a loop, the whole pair's rival.

THREADS 0 is the library as it comes: one engine, its own threads. Else so many threads, each with an engine of one
thread of its own, which is the best that a loop can do. For each line on standard input it reads every file of FOLDER
once and prints the seconds that took.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from pathlib import Path
from typing import Any


def _engine(threads: int) -> Any:
    from rapidocr import RapidOCR

    params: dict[str, Any] = {"Global.use_cls": False, "Global.log_level": "error", "Global.return_word_box": True}
    if threads:
        params["EngineConfig.onnxruntime.intra_op_num_threads"] = 1
        params["EngineConfig.onnxruntime.inter_op_num_threads"] = 1
    return RapidOCR(params=params)


def main(threads: int, folder: Path) -> None:
    """Loads the engines, then reads as often as it is told to."""
    if threads:
        os.environ["OPENCV_FOR_THREADS_NUM"] = os.environ["OMP_NUM_THREADS"] = "1"
    files = sorted(folder.iterdir())
    engines = [_engine(threads) for _ in range(threads or 1)]
    for engine in engines:
        engine(str(files[0]))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for _ in sys.stdin:
        began = time.perf_counter()
        waiting: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for file in files:
            waiting.put(file)
        loops = [threading.Thread(target=_read, args=(engine, waiting)) for engine in engines]
        for loop in loops:
            loop.start()
        for loop in loops:
            loop.join()
        sys.stdout.write(f"{time.perf_counter() - began}\n")
        sys.stdout.flush()


def _read(engine: Any, waiting: queue.SimpleQueue[Path]) -> None:
    while True:
        try:
            file = waiting.get_nowait()
        except queue.Empty:
            return
        engine(file.read_bytes())


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
