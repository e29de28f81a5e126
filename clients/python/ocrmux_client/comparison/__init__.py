"""What several providers read on the same pages, set side by side."""
