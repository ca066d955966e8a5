"""The mesh's certificate authority: who signs, whom it believes, and the service that proxies ask."""
