"""What was read on the tiles of a page, made into one answer for the page."""
