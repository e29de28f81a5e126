"""``python -m ocr_gateway``: settings, composition, lifecycle."""

from __future__ import annotations

from ocr_gateway.composition import build_gateway
from ocr_gateway.settings import GatewaySettings
from rpc_runtime.lifecycle import end_process, run_service

if __name__ == "__main__":
    end_process(run_service("ocr_gateway", GatewaySettings, build_gateway))
