"""The agent's side of external authorization: it asks for all workers, over gRPC or HTTP."""
