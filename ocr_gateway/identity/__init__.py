"""Identity documents: the names of their fields, what their values come to, and their check digits."""
