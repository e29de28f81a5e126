"""How well pages are read after preprocessing: a generated corpus, two engines, and the error rates of profiles."""
