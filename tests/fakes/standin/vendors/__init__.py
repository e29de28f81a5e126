"""One module or package a vendor."""
