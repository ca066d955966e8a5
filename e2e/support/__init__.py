"""What the stories share: a running mesh to talk to, and load to put on it."""
