"""Steps: each a function over pixels that gives the new pixels, the way back to the old ones, and its own record."""
