"""Tables without a network: cells from an image's rules and from where its text stands."""
