"""The small languages inside strings: durations, hosts, addresses, header names, regular expressions.

Each `check_*` raises ValueError with what is wrong and what would be right; a `parse_*` returns the value as well.
"""

import ipaddress
import re
from datetime import timedelta
from fractions import Fraction
from functools import lru_cache

import re2

UNIX = "unix://"
"""What the address of a Unix socket begins with."""
MAX_REGEX = 1024
MAX_NAME = 255

_NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_DURATION = re.compile(r"(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+")
_DURATION_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_LABEL = re.compile(r"[a-zA-Z0-9](?:[-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?")
_WILDCARD_LABEL = re.compile(r"\*(?:-?[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?)?")
_DNS1123_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_LABEL_WORD = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_PSEUDO_HEADERS = (":method", ":scheme", ":authority", ":path", ":status")
_JWT_CLAIM = re.compile(r"@request\.auth\.claims(?:\.[^.]+)+|@request\.auth\.claims(?:\[[^\[\]]+\])+", re.IGNORECASE)
_MAX_DURATION = timedelta(days=3650)


def parse_duration(text: str) -> timedelta:
    """Read Go's duration syntax: `1h2m3s`, `1.5s`, `250ms`, `0s`. Zero or more whole milliseconds."""
    if text.startswith("-"):
        raise ValueError(f"a duration must not be negative, got {text!r}")
    if text == "0":
        return timedelta(0)
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration: write numbers with units (ms, s, m, h) like 1.5s or 1h30m")
    nanoseconds = sum(Fraction(number) * _NANOSECONDS[unit] for number, unit in _DURATION_PART.findall(text))
    milliseconds, rest = divmod(nanoseconds, 10**6)
    if rest:
        least = "durations are at least 1ms" if milliseconds == 0 else "durations are whole milliseconds"
        raise ValueError(f"{text!r} is too fine: {least}")
    if milliseconds > _MAX_DURATION / timedelta(milliseconds=1):
        raise ValueError(f"{text!r} is too long: at most {_MAX_DURATION.days * 24}h")
    return timedelta(milliseconds=int(milliseconds))


def format_duration(value: timedelta) -> str:
    """Write a duration in seconds: `90s`, `1.5s`, `0.25s`. The inverse of `parse_duration`."""
    seconds, milliseconds = divmod(round(value / timedelta(milliseconds=1)), 1000)
    return f"{seconds}.{milliseconds:03d}".rstrip("0").rstrip(".") + "s"


@lru_cache(maxsize=1)
def _regex_options() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    return options


def check_regex(text: str) -> None:
    """Refuse what RE2 cannot compile, the empty regex, and what is longer than Istio allows."""
    if not text:
        raise ValueError("a regex must not be empty")
    if len(text) > MAX_REGEX:
        raise ValueError(f"a regex may have {MAX_REGEX} characters, this one has {len(text)}")
    try:
        re2.compile(text, _regex_options())
    except re2.error as error:
        detail = error.args[0] if error.args else error
        reason = detail.decode(errors="replace") if isinstance(detail, bytes) else str(detail)
        raise ValueError(f"{text!r} is not an RE2 regex: {reason}") from None


def check_regex_or_star(text: str) -> None:
    """A regex, or `*` alone for any text."""
    if text != "*":
        check_regex(text)


def is_address(text: str) -> bool:
    """Whether text is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_dns1123_label(text: str) -> bool:
    """Whether text may name a Kubernetes namespace or port: lower-case letters, digits, dashes; at most 63."""
    return _DNS1123_LABEL.fullmatch(text) is not None


def is_label_word(text: str) -> bool:
    """Whether text is one part of a host name, of either case: what subsets are called."""
    return _LABEL.fullmatch(text) is not None


def is_dns1123_subdomain(text: str) -> bool:
    """Whether text may name a Kubernetes object: DNS-1123 labels joined by dots."""
    return len(text) <= 253 and all(is_dns1123_label(label) for label in text.split("."))


def _check_labels(text: str, labels: list[str]) -> None:
    if len(text) > MAX_NAME:
        raise ValueError(f"a host may have {MAX_NAME} characters, this one has {len(text)}")
    for label in labels:
        if not _LABEL.fullmatch(label):
            shown = f"its part {label!r} is not" if label else "it has an empty part, not"
            raise ValueError(f"{text!r} is not a host name: {shown} letters, digits and inner dashes (at most 63)")
    if labels and labels[-1].isdigit():
        raise ValueError(f"{text!r} is not a host name: its last part must not be a number")


def check_fqdn(text: str) -> None:
    """A DNS name without wildcard; a trailing dot is allowed."""
    if not text:
        raise ValueError("a host must not be empty")
    _check_labels(text, text.removesuffix(".").split("."))


def is_fqdn(text: str) -> bool:
    """Whether text is a DNS name without wildcard."""
    try:
        check_fqdn(text)
    except ValueError:
        return False
    return True


def check_address_or_fqdn(text: str) -> None:
    """An IP address or a DNS name without wildcard."""
    if not is_address(text):
        check_fqdn(text)


def is_socket_path(text: str) -> bool:
    """Whether text (behind `unix://`) is an absolute path of a socket, or `@` and an abstract name."""
    return text.startswith("@") or (text.startswith("/") and not text.endswith("/"))


def check_host(text: str) -> None:
    """A DNS name or a wildcard whose star is the first label: `reviews`, `a.example.com`, `*.example.com`, `*`."""
    if not text:
        raise ValueError("a host must not be empty")
    if text == "*":
        return
    labels = text.removesuffix(".").split(".")
    if "*" in text and not _WILDCARD_LABEL.fullmatch(labels[0]):
        raise ValueError(f"{text!r} is not a host: a wildcard must come first, as in *.example.com")
    if any("*" in label for label in labels[1:]):
        raise ValueError(f"{text!r} is not a host: a wildcard may only come first, as in *.example.com")
    _check_labels(text, labels[1:] if "*" in labels[0] else labels)


def check_host_or_address(text: str) -> None:
    """A host or an IP address."""
    if not is_address(text):
        check_host(text)


def check_subnet(text: str) -> None:
    """An IP address, or a CIDR block; bits set behind the prefix are masked as Envoy does."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is not an IP address or CIDR block such as 10.0.0.0/8") from None


def check_header_name(text: str) -> None:
    """An HTTP header name."""
    if not _HEADER_NAME.fullmatch(text):
        raise ValueError(f"{text!r} is not a header name")


def check_matched_header(text: str) -> None:
    """What a route can match: a header, a pseudo header, or a claim as `@request.auth.claims.name`."""
    if text not in _PSEUDO_HEADERS and not is_jwt_claim(text):
        check_header_name(text)


def check_edited_header(text: str) -> None:
    """What a route can edit: a header, or the authority."""
    if text.startswith(":") and text != ":authority":
        raise ValueError(f"{text!r} is a pseudo header, which cannot be edited; see rewrite")
    if text != ":authority":
        check_header_name(text)


def is_jwt_claim(text: str) -> bool:
    """Whether a header match means a claim of the request's token."""
    return _JWT_CLAIM.fullmatch(text) is not None


def is_label_name(text: str) -> bool:
    """Whether text may name a Kubernetes label: an optional DNS prefix and a slash, then the name."""
    prefix, slash, name = text.rpartition("/")
    return _LABEL_WORD.fullmatch(name) is not None and (not slash or is_dns1123_subdomain(prefix))


def is_label_value(text: str) -> bool:
    """Whether text may be a Kubernetes label's value."""
    return not text or _LABEL_WORD.fullmatch(text) is not None


def split_scope(text: str) -> tuple[str, str]:
    """`ns/host` → (ns, host); a host without namespace has the scope ''."""
    scope, slash, host = text.partition("/")
    return (scope, host) if slash else ("", text)


def check_scoped_host(text: str) -> None:
    """`host`, `namespace/host`, `./host` or `*/host`; the host must have a dot or be `*`."""
    scope, host = split_scope(text)
    if "/" in text and scope not in ("*", ".") and not is_dns1123_label(scope):
        raise ValueError(f"{text!r} is not namespace/host: {scope!r} is not a namespace, '.' or '*'")
    if not is_address(host):
        _check_full_host(host)


def egress_host_problem(text: str) -> str:
    """What is wrong with a host of a Sidecar's egress, which is `namespace/host`; "" when nothing is.

    The namespace may be `*`, `.` or `~` (none); a `~` in front of a namespace excludes what the entry names.
    """
    scope, host = split_scope(text)
    if "/" not in text or not host:
        return f"{text!r} is not namespace/host; for this namespace write ./{text}, for any */{text}"
    namespace = scope.removeprefix("~")
    if scope != "~" and namespace not in ("*", ".") and not is_dns1123_label(namespace):
        return f"{text!r} is not namespace/host: {scope!r} is not a namespace, '.', '*' or '~'"
    try:
        _check_full_host(host)
    except ValueError as problem:
        return str(problem)
    return ""


def _check_full_host(host: str) -> None:
    """A host with a dot, or `*`; a wildcard takes a whole label."""
    if host == "*":
        return
    check_host(host)
    if "." not in host.removesuffix("."):
        raise ValueError(f"{host!r} is a short name; write the full host, such as {host}.example.com, or '*'")
    if "*" in host and not host.startswith("*."):
        raise ValueError(f"{host!r} is a partial wildcard; write one such as *.example.com")
