"""The vendors' own SDKs beside the adapters: both make the same call of one server, which writes down what arrives."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SDK_PYTHON = ROOT / ".venv-sdks/bin/python"
"""The Python that has the SDKs; ``make setup-sdks`` makes it."""
