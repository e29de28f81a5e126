"""Multiplexes pages of many streams onto OCR providers: cached, coalesced, bounded, one result schema."""
