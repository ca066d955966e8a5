"""Host names of configuration: short forms, wildcards, which of two is more specific."""

from __future__ import annotations

from collections.abc import Iterable


def resolve(host: str, namespace: str, suffix: str) -> str:
    """The full name a host in configuration stands for: a name without a dot is a service of the config's namespace.

    Anything with a dot is taken literally: `reviews.prod` is not expanded.
    """
    if "." in host or host.startswith("*"):
        return host.lower()
    return f"{host}.{namespace}.svc.{suffix}".lower()


def is_wildcard(host: str) -> bool:
    """Whether it is `*` or starts with `*.`."""
    return host.startswith("*")


def covers(pattern: str, host: str) -> bool:
    """Whether everything that `host` names is named by `pattern` too; both may be wildcards.

    `*.foo.com` covers `a.b.foo.com` and `*.b.foo.com`, and itself, but not `foo.com`.
    """
    if not is_wildcard(pattern):
        return pattern == host
    return host.endswith(pattern[1:]) if not is_wildcard(host) else host[1:].endswith(pattern[1:])


def intersection(one: str, other: str) -> str | None:
    """The more specific of two hosts of which one covers the other; None when they have nothing in common."""
    if covers(one, other):
        return other
    if covers(other, one):
        return one
    return None


def specificity(host: str) -> tuple[bool, int, str]:
    """Sorts the most specific first: no wildcard before wildcard, longer before shorter, then by alphabet."""
    return (is_wildcard(host), -len(host), host)


def most_specific(patterns: Iterable[str], host: str) -> str | None:
    """The most specific pattern that covers `host`."""
    return min((pattern for pattern in patterns if covers(pattern, host)), key=specificity, default=None)
