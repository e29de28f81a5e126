"""Makes pages fit for recognition: raw files in, normalised pages out, with the way back."""
