"""OCR engines and services behind one port. One file a vendor."""
