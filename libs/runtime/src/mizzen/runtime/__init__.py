"""What the main() of every service shares: uvloop, signals, logging, metrics and the health server."""
