"""Runs each language's own tests against a live pair."""
