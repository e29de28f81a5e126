"""Azure's OCR: Document Intelligence, which is polled, and the reading of Image Analysis."""
