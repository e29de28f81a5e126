"""``python -m tests.load.ghz_data FOLDER``: the messages that the configurations of ghz send."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.load.ghz_run import write_data


def main(arguments: list[str]) -> int:
    """Exit status: 0, or 2 on bad usage."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m tests.load.ghz_data FOLDER\n")
        return 2
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    write_data(folder)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
