"""Alibaba Cloud OCR."""
