"""Modules are named by what they are about."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("rpc_runtime", "ocr_gateway", "preprocess_service", "clients/python/ocrmux_client", "scripts", "tests")
NAMELESS = {"utils", "util", "helpers", "helper", "common", "misc", "shared", "stuff"}


def test_no_module_is_named_for_nothing() -> None:
    """No module or package is called utils, helpers, common or misc."""
    modules = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    assert len(modules) > 50
    nameless = [
        str(path.relative_to(ROOT))
        for path in modules
        if NAMELESS & {part.strip("_") for part in path.relative_to(ROOT).with_suffix("").parts}
    ]
    assert nameless == []
