"""Baidu's cloud OCR."""
