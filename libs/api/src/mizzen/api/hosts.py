"""How hosts relate: which covers which."""


def covers(pattern: str, host: str) -> bool:
    """Whether every name that `host` stands for is one of `pattern`'s; both may be wildcards (`*.example.com`)."""
    if pattern in ("*", host):
        return True
    return pattern.startswith("*") and host.removeprefix("*").endswith(pattern[1:]) and len(host) >= len(pattern)
