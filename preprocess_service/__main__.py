"""``python -m preprocess_service``: settings, composition, lifecycle."""

from __future__ import annotations

from preprocess_service.composition import PreprocessProcess
from preprocess_service.settings import PreprocessSettings
from rpc_runtime.lifecycle import end_process, run_service

if __name__ == "__main__":
    end_process(run_service("preprocess_service", PreprocessSettings, PreprocessProcess))
