"""Serving xDS: the session without I/O, the gRPC shell around it, and what is known about every client."""
