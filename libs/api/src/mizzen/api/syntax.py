"""The small languages inside strings: durations, hosts, addresses, header names, regular expressions.

Each `check_*` raises ValueError with what is wrong and what would be right; a `parse_*` returns the value as well.
"""

import ipaddress
import re
from datetime import timedelta
from fractions import Fraction
from functools import lru_cache

import re2

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
_MAX_DURATION = timedelta(days=3650)


def parse_duration(text: str) -> timedelta:
    """Read Go's duration syntax: `1h2m3s`, `1.5s`, `250ms`, `0s`. At least 1 ms, or zero; whole milliseconds."""
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
    """An HTTP header name; pseudo headers such as `:path` are refused."""
    if text.startswith(":"):
        raise ValueError(f"{text!r} is a pseudo header; use the uri, method, scheme or authority field instead")
    if not _HEADER_NAME.fullmatch(text):
        raise ValueError(f"{text!r} is not a header name")


def split_scope(text: str) -> tuple[str, str]:
    """`ns/host` → (ns, host); a host without namespace has the scope ''."""
    scope, slash, host = text.partition("/")
    return (scope, host) if slash else ("", text)


def check_scoped_host(text: str) -> None:
    """`host`, `namespace/host`, `./host` or `*/host`; the host must have a dot or be `*`."""
    scope, host = split_scope(text)
    if "/" in text and scope not in ("*", ".") and not is_dns1123_label(scope):
        raise ValueError(f"{text!r} is not namespace/host: {scope!r} is not a namespace, '.' or '*'")
    if host == "*" or is_address(host):
        return
    check_host(host)
    if "." not in host.removesuffix("."):
        raise ValueError(f"{text!r} is a short name; write the full host, such as {host}.example.com, or '*'")
