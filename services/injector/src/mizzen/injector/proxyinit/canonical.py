"""One form for all ways in which iptables writes the same rule.

`iptables-save` prints marks in hexadecimal, names modules that a protocol implies and leaves out what is the default,
and each version does a little more of it. Two rules are the same when their canonical forms are equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network
from typing import Final

Canonical = tuple[tuple[str, ...], ...]
"""Options with their values, sorted: the order of matches in a rule has no meaning."""

_IMPLIED: Final = {
    *(("-m", "tcp"), ("-m", "udp")),
    *(("--on-ip", "0.0.0.0"), ("--on-ip", "::")),
    *(("-d", "any"), ("-s", "any")),
    *(("--nfmask", "4294967295/4294967295"), ("--ctmask", "4294967295/4294967295")),
}
_MARKS: Final = {"--mark", "--set-xmark", "--tproxy-mark", "--nfmask", "--ctmask"}
_SAME: Final = {"--set-mark": "--set-xmark", "--to-port": "--to-ports", "--state": "--ctstate"}
_ALL_BITS: Final = 0xFFFFFFFF


def canonical(spec: Sequence[str]) -> Canonical:
    """The canonical form of matches and target."""
    options: list[tuple[str, ...]] = []
    negated = False
    for word in spec:
        if word == "!":
            negated = True
        elif word.startswith("-"):
            options.append(("!", _SAME.get(word, word)) if negated else (_SAME.get(word, word),))
            negated = False
        else:
            options[-1] = (*options[-1], _value(options[-1][-1], word))
    return tuple(sorted(option for option in options if option not in _IMPLIED))


def _value(option: str, word: str) -> str:
    if option in ("-s", "-d"):
        network = ip_network(word, strict=False)
        return str(network) if network.prefixlen else "any"
    if option in _MARKS:
        mark, _, mask = word.partition("/")
        return f"{int(mark, 0)}/{int(mask, 0) if mask else _ALL_BITS}"
    if option == "--ctstate":
        return ",".join(sorted(word.split(",")))
    return word
