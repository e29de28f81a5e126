"""The clients: each language's own tests, and the scenarios that all of them share."""
