"""Huawei Cloud OCR."""
