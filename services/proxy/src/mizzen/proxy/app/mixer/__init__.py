"""The agent's side of Mixer: it asks and reports for all workers."""
