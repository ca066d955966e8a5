"""The protocol names of ports (mind that case does not matter)."""

HTTP = frozenset({"HTTP", "HTTP2", "HTTP_PROXY", "GRPC", "GRPC-WEB"})
TLS = frozenset({"HTTPS", "TLS"})
OPAQUE = frozenset({"TCP", "MONGO", "REDIS", "MYSQL"})
KNOWN = HTTP | TLS | OPAQUE | {"UDP"}
"""UDP is known too, though no proxy listens for it."""


def is_known(protocol: str) -> bool:
    """Whether Istio has this protocol."""
    return protocol.upper() in KNOWN


def is_http(protocol: str) -> bool:
    """Whether requests can be told apart, so that HTTP routes apply."""
    return protocol.upper() in HTTP


def is_tls(protocol: str) -> bool:
    """Whether connections begin with a TLS handshake."""
    return protocol.upper() in TLS
