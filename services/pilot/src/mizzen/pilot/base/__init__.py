"""Domain types and rules that need nothing else: protocols, host names, labels, mesh-wide settings."""
