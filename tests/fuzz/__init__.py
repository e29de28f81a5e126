"""Fuzzing of the preprocess service's decoders: ``python -m tests.fuzz --minutes 20 --decoder all --jobs 2``."""
