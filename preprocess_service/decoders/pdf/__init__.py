"""PDF by pdfium: pages rendered, or the scan that is a page taken out. Imported only where a PDF is read."""
