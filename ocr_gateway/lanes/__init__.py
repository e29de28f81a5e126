"""The way of an item to its provider: one lane per provider and feature."""
