"""The command line and the environment, as Istio's istio-iptables has them."""

from __future__ import annotations

import argparse
import grp
import pwd
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

from mizzen.injector.proxyinit import settings as values
from mizzen.injector.proxyinit.settings import Binary, Capture, Mode, Settings

T = TypeVar("T")

DEFAULT_USER: Final = "istio-proxy"
DEFAULT_UID: Final = "1337"
MAX_ID: Final = 2**32 - 2
MAX_OWNER_GROUPS: Final = 64
"""They become matches of one rule, and some kernels hold no more than 128 of them."""
_LEVELS: Final = {"debug": "debug", "info": "info", "warn": "warning", "warning": "warning", "error": "error"}


@dataclass(frozen=True, slots=True)
class Option:
    """A flag; its variable is its name in capitals."""

    letter: str
    name: str
    default: str
    text: str
    variables: tuple[str, ...] = ()
    """Further variables, stronger than the first."""


OPTIONS: Final = (
    Option("p", "envoy-port", "15001", "the proxy's port for outbound connections"),
    Option("z", "inbound-capture-port", "15006", "the proxy's port for inbound connections"),
    Option("e", "inbound-tunnel-port", "15008", "the tunnel's port, never captured"),
    Option("u", "proxy-uid", "", "uids or users of the proxy (the user ENVOY_USER, else 1337)"),
    Option("g", "proxy-gid", "", "gids or groups of the proxy (the uids)"),
    Option("m", "istio-inbound-interception-mode", "REDIRECT", "REDIRECT or TPROXY, for inbound connections"),
    Option("b", "istio-inbound-ports", "", "inbound ports to capture: a list, * or empty for none"),
    Option("d", "istio-local-exclude-ports", "", "inbound ports not to capture, with -b '*'"),
    Option("i", "istio-service-cidr", "", "outbound ranges to capture: CIDRs, * or empty for none"),
    Option("x", "istio-service-exclude-cidr", "", "outbound ranges not to capture"),
    Option("q", "istio-outbound-ports", "", "outbound ports to capture whatever the ranges say"),
    Option("o", "istio-local-outbound-ports-exclude", "", "outbound ports not to capture"),
    Option("c", "istio-exclude-interfaces", "", "network interfaces where nothing is captured"),
    Option("k", "kube-virt-interfaces", "", "interfaces whose inbound traffic is captured as outbound"),
    Option("t", "istio-inbound-tproxy-mark", "1337", "the mark of TPROXY's packets"),
    Option("r", "istio-inbound-tproxy-route-table", "133", "the routing table of TPROXY's packets"),
    Option("", "iptables-probe-port", "15002", "the port that --run-validation connects to"),
    Option("", "probe-timeout", "5s", "how long --run-validation tries"),
    Option("", "force-iptables-binary", "", "nft or legacy, in place of the one in use"),
)
SWITCHES: Final = (
    Option("n", "dry-run", "false", "print the rules and change nothing"),
    Option("", "skip-rule-apply", "false", "leave the rules as they are (to validate them alone)"),
    Option("", "run-validation", "false", "see that a connection is redirected; exit 126 when not"),
    Option("", "redirect-dns", "false", "send DNS to port 15053 of the proxy", ("ISTIO_META_DNS_CAPTURE",)),
    Option("", "capture-all-dns", "false", "with --redirect-dns, any server's and not those of resolv.conf alone"),
    Option("", "drop-invalid", "false", "drop packets that belong to no connection", ("INVALID_DROP",)),
    Option("", "dual-stack", "false", "IPv6 rules for a pod that has an IPv4 address too", ("ISTIO_DUAL_STACK",)),
    Option("", "reconcile", "false", "replace other rules of a mesh in place of refusing"),
    Option("", "cleanup-only", "false", "remove the rules"),
    Option("", "force-apply", "false", "write the rules even if they are there already"),
)
_FLAGS: Final = {
    option.name: f"-{option.letter} (--{option.name})" if option.letter else f"--{option.name}"
    for option in (*OPTIONS, *SWITCHES)
}
GROUPS: Final = "ISTIO_OUTBOUND_OWNER_GROUPS"
GROUPS_EXCLUDE: Final = "ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE"
LOOPBACK: Final = "ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR"


def read_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """A flag wins over its variable. Exits with status 2 and the usage for what is not understood."""
    parser = _parser(environment)
    given = vars(parser.parse_args(arguments))
    try:
        return _settings(given, environment)
    except ValueError as error:
        parser.error(str(error))


def _parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="proxy-init",
        description="Programs the iptables rules that send a workload's traffic through its proxy.",
        epilog=f"Each flag has a variable: --proxy-uid is PROXY_UID. By variable only: {GROUPS}, "
        f"{GROUPS_EXCLUDE} (groups of the applications), {LOOPBACK} (127.0.0.1/32), ENVOY_USER (istio-proxy).",
        allow_abbrev=False,
    )
    for option in OPTIONS:
        parser.add_argument(*_names(option), default=_default(option, environment), metavar="VALUE", help=option.text)
    for option in SWITCHES:
        parser.add_argument(
            *_names(option), default=_default(option, environment), nargs="?", const="true", metavar="BOOL",
            help=option.text,
        )  # fmt: skip
    parser.add_argument("--log_output_level", "--log-level", default="info", metavar="LEVEL", help="debug, info, ...")
    return parser


def _names(option: Option) -> tuple[str, ...]:
    long = f"--{option.name}"
    return (f"-{option.letter}", long) if option.letter else (long,)


def _default(option: Option, environment: Mapping[str, str]) -> str:
    value = option.default
    for variable in (option.name.replace("-", "_").upper(), *option.variables):
        value = environment.get(variable, value)
    return value


def _settings(given: dict[str, Any], environment: Mapping[str, str]) -> Settings:
    def read(name: str, parse: Callable[[str], T]) -> T:
        return _read(_FLAGS[name], given[name.replace("-", "_")], parse)

    def switch(name: str) -> bool:
        return read(name, _boolean)

    return Settings(
        capture=_capture(read, switch, environment),
        dual_stack=switch("dual-stack"),
        dry_run=switch("dry-run"),
        skip_rule_apply=switch("skip-rule-apply"),
        reconcile=switch("reconcile"),
        cleanup_only=switch("cleanup-only"),
        force_apply=switch("force-apply"),
        force_binary=read("force-iptables-binary", _binary),
        run_validation=switch("run-validation"),
        probe_port=read("iptables-probe-port", values.parse_port),
        probe_seconds=read("probe-timeout", _seconds),
        log_level=_read("--log-level", given["log_output_level"], _level),
    )


def _capture(read: Any, switch: Callable[[str], bool], environment: Mapping[str, str]) -> Capture:
    uids = read("proxy-uid", lambda text: _uids(text or _default_uid(environment)))
    groups = environment.get(GROUPS, values.WILDCARD)
    return Capture(
        outbound_port=read("envoy-port", values.parse_port),
        inbound_port=read("inbound-capture-port", values.parse_port),
        tunnel_port=read("inbound-tunnel-port", values.parse_port),
        uids=uids,
        gids=read("proxy-gid", _gids) or uids,
        mode=read("istio-inbound-interception-mode", _mode),
        inbound_ports=read("istio-inbound-ports", values.parse_ports_or_all),
        inbound_ports_exclude=read("istio-local-exclude-ports", values.parse_ports),
        outbound_ranges=read("istio-service-cidr", values.parse_ranges),
        outbound_ranges_exclude=read("istio-service-exclude-cidr", values.parse_excluded_ranges),
        outbound_ports=read("istio-outbound-ports", values.parse_ports),
        outbound_ports_exclude=read("istio-local-outbound-ports-exclude", values.parse_ports),
        exclude_interfaces=read("istio-exclude-interfaces", values.parse_interfaces),
        virtual_interfaces=read("kube-virt-interfaces", values.parse_interfaces),
        tproxy_mark=read("istio-inbound-tproxy-mark", _mark),
        tproxy_table=read("istio-inbound-tproxy-route-table", _mark),
        owner_groups=None if groups.strip() == values.WILDCARD else _read(GROUPS, groups, _included_groups),
        owner_groups_exclude=_read(GROUPS_EXCLUDE, environment.get(GROUPS_EXCLUDE, ""), _gids),
        redirect_dns=switch("redirect-dns"),
        capture_all_dns=switch("capture-all-dns"),
        drop_invalid=switch("drop-invalid"),
        loopback=_read(LOOPBACK, environment.get(LOOPBACK, "127.0.0.1/32"), values.parse_loopback),
    )


def _read(name: str, text: str, parse: Callable[[str], T]) -> T:
    try:
        return parse(text)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _boolean(text: str) -> bool:
    lower = text.strip().lower()
    if lower in ("true", "t", "1"):
        return True
    if lower in ("false", "f", "0", ""):
        return False
    raise ValueError(f"true or false, not {text!r}")


def _mode(text: str) -> Mode:
    if text not in ("REDIRECT", "TPROXY"):
        raise ValueError(f"REDIRECT or TPROXY, not {text!r}")
    return cast("Mode", text)


def _binary(text: str) -> Binary:
    if text not in ("", "nft", "legacy"):
        raise ValueError(f"nft or legacy, not {text!r}")
    return cast("Binary", text)


def _mark(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) < 2**32):
        raise ValueError(f"a number from 1 to {2**32 - 1}, not {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m)", text)
    if match is None or float(match[1]) <= 0:
        raise ValueError(f"a duration such as 5s or 500ms, not {text!r}")
    return float(match[1]) * {"ms": 0.001, "s": 1.0, "m": 60.0}[match[2]]


def _level(text: str) -> str:
    """`info`, or Istio's `default:info`."""
    level = _LEVELS.get(text.rpartition(":")[2])
    if level is None:
        raise ValueError(f"one of {', '.join(_LEVELS)}, not {text!r}")
    return level


def _default_uid(environment: Mapping[str, str]) -> str:
    try:
        return str(pwd.getpwnam(environment.get("ENVOY_USER", DEFAULT_USER)).pw_uid)
    except KeyError:
        return DEFAULT_UID


def _uids(text: str) -> tuple[int, ...]:
    return tuple(_id(part, "user", lambda name: pwd.getpwnam(name).pw_uid) for part in values.split(text))


def _gids(text: str) -> tuple[int, ...]:
    return tuple(_id(part, "group", lambda name: grp.getgrnam(name).gr_gid) for part in values.split(text))


def _included_groups(text: str) -> tuple[int, ...]:
    groups = _gids(text)
    if len(groups) > MAX_OWNER_GROUPS:
        raise ValueError(f"at most {MAX_OWNER_GROUPS} groups fit one rule, not {len(groups)}")
    return groups


def _id(text: str, what: str, lookup: Callable[[str], int]) -> int:
    if text.isascii() and text.isdecimal():
        if int(text) > MAX_ID:
            raise ValueError(f"the id of a {what} is at most {MAX_ID}, not {text}")
        return int(text)
    try:
        return lookup(text)
    except KeyError:
        raise ValueError(f"there is no {what} {text!r} on this system") from None
