"""Measures the memory of every client over a long stream of large items: ``python -m tests.clients.memory``."""
