"""Decoders: bytes to upright-able pages. Limits are checked on the header, before anything is decoded."""
