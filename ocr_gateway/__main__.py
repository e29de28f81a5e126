"""``python -m ocr_gateway``: settings, composition, lifecycle."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from ocr_gateway.composition import build_gateway
from ocr_gateway.config_check import load_settings, summary
from rpc_runtime.lifecycle import CANNOT_START, end_process, load_or_say_why, run_service

_NAME = "ocr_gateway"


def main(arguments: list[str]) -> int:
    """Runs the gateway, or checks its settings; returns the process's exit status."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {_NAME}",
        description="The OCR gateway: images in, results out, by the providers that its settings name.",
        epilog="Each setting can be given by the environment too, which goes before the file: GATEWAY_LISTEN, "
        "GATEWAY_CACHE__DIR. docs/operations.md lists them. Exit status: 0 stopped cleanly, or the settings are right; "
        "1 items were cut short; 2 a wrong setting or a taken address.",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML file of settings; also GATEWAY_CONFIG_FILE")
    parser.add_argument(
        "--check-config", action="store_true", help="check the settings, say what they come to, and end"
    )
    given = parser.parse_args(arguments)
    load = partial(load_settings, given.config)
    if not given.check_config:
        return run_service(_NAME, load, build_gateway)
    settings = load_or_say_why(_NAME, load)
    if settings is None:
        return CANNOT_START
    sys.stdout.write("\n".join([*summary(settings), ""]))
    for variable in settings.unknown_variables():
        sys.stderr.write(f"{_NAME}: {variable} is no setting and changes nothing\n")
    return 0


if __name__ == "__main__":
    end_process(main(sys.argv[1:]))
