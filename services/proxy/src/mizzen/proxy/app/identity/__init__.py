"""The workload's own certificate: asked for, kept, and renewed in time."""
