"""Tencent Cloud OCR."""
