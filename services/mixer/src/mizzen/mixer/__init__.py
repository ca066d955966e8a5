"""Policy and telemetry. Nothing runs here yet: the package holds the name and the place in the import contracts."""
