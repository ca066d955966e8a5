"""Names and small values that every layer of the proxy uses."""
