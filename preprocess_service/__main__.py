"""``python -m preprocess_service``: settings, composition, lifecycle."""

from __future__ import annotations

import argparse
import sys

from preprocess_service.composition import PreprocessProcess
from preprocess_service.settings import PreprocessSettings
from rpc_runtime.lifecycle import end_process, run_service

_NAME = "preprocess_service"


def main(arguments: list[str]) -> int:
    """Runs the service; returns the process's exit status."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {_NAME}",
        description="The preprocess service: images and documents in, their pages made fit for engines, results out.",
        epilog="Settings come from the environment: PREPROCESS_LISTEN, PREPROCESS_GATEWAY_TARGET. docs/operations.md "
        "lists them. Exit status: 0 stopped cleanly; 1 items were cut short; 2 a wrong setting or a taken address.",
    )
    parser.parse_args(arguments)
    return run_service(_NAME, PreprocessSettings, PreprocessProcess)


if __name__ == "__main__":
    end_process(main(sys.argv[1:]))
