"""Runs the scenarios of ``tests/conformance`` against the driver of every language."""
