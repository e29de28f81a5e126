"""What implementations of one port have in common: behaviour suites."""
