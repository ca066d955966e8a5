"""The own certificate of a process: asked for, kept, and renewed in time; and whom it trusts, by files."""
