"""ocrmux's tests."""
