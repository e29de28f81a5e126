"""Multiplexes pages of many streams onto OCR providers: cached, coalesced, bounded, one result schema."""

import rpc_runtime  # noqa: F401 - before grpc: it sets what grpc reads when it is imported
