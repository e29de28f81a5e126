"""What providers over the network have in common; a vendor adds a dialect, its table of errors and its settings."""
