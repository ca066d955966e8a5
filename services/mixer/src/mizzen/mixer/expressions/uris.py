"""URIs as Go's net/url reads them: which texts are one, and which two mean the same."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import NamedTuple

from mizzen.mixer.expressions.errors import EvaluationError
from mizzen.mixer.expressions.names import same_dns_name

# The expression of RFC 3986, appendix B.
_PARTS = re.compile(
    r"(?:([^:/?#]+):)?(?://([^/?#]*))?([^?#]*)(\?[^#]*)?(#.*)?",
    re.DOTALL,
)
_SCHEME = re.compile(r"[A-Za-z][-+.A-Za-z0-9]*")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2}).{0,2}", re.DOTALL)
_AUTHORITY = re.compile(r"(?:(?P<user>.*)@)?(?P<host>\[[^\[\]@]*\]|[^\[\]:@\s\"<>\\^`{|}]*)(?::(?P<port>[0-9]*))?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Uri(NamedTuple):
    """The parts of a URI, the scheme in lower case; query and fragment with their sign."""

    scheme: str
    has_authority: bool
    user: str
    host: str
    port: str
    path: str
    query: str
    fragment: str


def uri(text: str) -> str:
    """The text itself; raises EvaluationError where it is no URI."""
    parse(text)
    return text


def same_uri(left: str, right: str) -> bool:
    """Whether two URIs mean one thing: schemes of any case, hosts of HTTP as DNS names, the rest to the letter."""
    one, other = parse(left), parse(right)
    if one.scheme not in ("http", "https") or one.scheme != other.scheme:
        return one == other
    return one._replace(host="") == other._replace(host="") and _same_host(one.host, other.host)


def _same_host(left: str, right: str) -> bool:
    if left == right:
        return True
    try:
        return ip_address(left.strip("[]")) == ip_address(right.strip("[]"))
    except ValueError:
        return same_dns_name(left, right)


def parse(text: str) -> Uri:
    """The parts of a URI; raises EvaluationError."""
    if not text:
        raise EvaluationError("error converting string to uri: empty string")
    found = _PARTS.fullmatch(text)
    if found is None or text.startswith(":"):
        raise _error(text, "missing protocol scheme")
    scheme, authority, path, query, fragment = (part or "" for part in found.groups())
    if scheme and not _SCHEME.fullmatch(scheme):
        raise _error(text, "first path segment in URL cannot contain colon")
    if _CONTROL.search(text):
        raise _error(text, "invalid control character in URL")
    bad_escape = _BAD_ESCAPE.search(path) or _BAD_ESCAPE.search(fragment)
    if bad_escape:
        raise _error(text, f'invalid URL escape "{bad_escape.group()}"')
    place = _AUTHORITY.fullmatch(authority)
    if place is None:
        raise _error(text, f'"{authority}" is not host:port')
    user, host, port = (place[name] or "" for name in ("user", "host", "port"))
    return Uri(scheme.lower(), found.group(2) is not None, user, host, port, path, query, fragment)


def _error(text: str, reason: str) -> EvaluationError:
    return EvaluationError(f"error converting string to uri '{text}': '{reason}'")
