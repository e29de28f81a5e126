"""Results that were paid for once: keys, the two levels, and one call for many who ask at the same time."""
