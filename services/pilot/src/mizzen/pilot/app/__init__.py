"""The process: settings, wiring, the loop from change to push, debug pages."""
