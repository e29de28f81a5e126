"""``python -m tests.bench.engine_loop THREADS FOLDER``: RapidOCR called directly in a loop, the whole pair's rival.

THREADS 0 is the library as it comes: one engine, its own threads. Else so many threads, each with an engine of one
thread of its own, which is the best that a loop can do. For each line on standard input it reads every file of FOLDER
once and prints the seconds that took.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from tests.bench.loop_process import seconds_in_threads, serve_rounds


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
    reads = [lambda file, engine=engine: engine(file.read_bytes()) for engine in engines]
    serve_rounds(lambda: seconds_in_threads(reads, files))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
