"""Loads on the running pair: ghz's and ``ocrmux bench``'s, into docs/load.md."""
