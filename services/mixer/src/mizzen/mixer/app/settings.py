"""Flags and environment."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import cast

from mizzen.identity.keeping.settings import ROOTS_FILE, TOKEN_FILE, IdentitySettings
from mizzen.identity.spiffe import DEFAULT_TRUST_DOMAIN, SpiffeId
from mizzen.mixer.adapters.defaults import EVERYWHERE
from mizzen.mixer.server.overload import Limits, Mode
from mizzen.runtime.address import Address
from mizzen.runtime.logs import LEVELS, LogFormat

PREFIX = "MIZZEN_MIXER_"
FOLDER = ".mizzen/config"


@dataclass(frozen=True, slots=True)
class SecureSettings:
    """The port of mutual TLS."""

    address: Address
    identity: IdentitySettings
    trust_domains: frozenset[str]
    """Of clients: all names of the mesh's."""


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """Whose tokens open the debug pages."""

    keys: Path
    """Public keys of who issues them, a JSON Web Key Set."""
    trust_domain: str
    namespace: str
    """Of service accounts that may see the pages: Mixer's own."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How this Mixer runs."""

    address: Address | None
    """Plaintext; None: there is no such port."""
    monitoring_address: Address
    config_dir: Path | None
    """A folder of YAML; None where rules come from a Kubernetes API server alone."""
    registry_dir: Path | None = None
    """A folder of YAML with the platform's Pods, for adapters that look them up."""
    kubeconfig: str = ""
    """The path of a kubeconfig, or `in-cluster`; empty where there is no Kubernetes."""
    secure: SecureSettings | None = None
    tokens: TokenSettings | None = None
    """None: debug pages are for this machine alone."""
    prometheus_address: Address = EVERYWHERE
    """Where the adapter prometheus serves its page."""
    default_namespace: str = "istio-system"
    """Rules in this namespace apply to every request."""
    longest_validity: timedelta = timedelta.max
    """For how long at most proxies may keep a verdict."""
    max_message_bytes: int = 1 << 20
    max_streams: int = 1024
    """Calls at once on one connection; others wait at the client."""
    max_requests: int = 1024
    """Calls at once in all; others are refused."""
    limits: Limits = field(default_factory=Limits)
    log_level: str = "info"
    log_format: LogFormat = "text"


def read_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """A flag wins over its variable (MIZZEN_MIXER_ and the flag in capitals).

    Exits with status 2 and the usage for what is not understood.
    """
    parser = argparse.ArgumentParser(
        prog="mizzen-mixer",
        description="Judges requests and reports them, for proxies that speak Istio's Mixer protocol and for Envoy.",
        epilog=f"Each flag has a variable: --config-dir is {PREFIX}CONFIG_DIR (--trust-domain: TRUST_DOMAIN).",
    )
    _add_flags(parser, environment)
    given = parser.parse_args(arguments)
    try:
        return _settings(given)
    except ValueError as error:
        parser.error(str(error))


def _add_flags(parser: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    def flag(name: str, default: str, text: str, variable: str = "") -> None:
        value = environment.get(variable or PREFIX + name.upper().replace("-", "_"), default)
        parser.add_argument(f"--{name}", default=value, help=f"{text} (%(default)s)")

    flag("address", "127.0.1.2:9091", "where anybody connects, plaintext gRPC; empty: there is no such port")
    flag("secure-address", "", "where proxies connect with mutual TLS (port 15004); empty: there is no such port")
    flag("ca-address", "", "who certifies Mixer (port 15012 of Pilot), for --secure-address")
    flag("ca-roots", ROOTS_FILE, "roots that the CA's certificate is checked by, and clients too; watched")
    flag("token-file", TOKEN_FILE, "file with the token of Mixer's service account")
    flag("certificate-seconds", "0", "life of the certificate to ask for; 0: as the CA likes")
    flag("trust-domain", DEFAULT_TRUST_DOMAIN, "the mesh's trust domain", "TRUST_DOMAIN")
    flag("trust-domain-aliases", "", "its other names, divided by commas")
    flag("namespace", "istio-system", "Mixer's own")
    flag("service-account", "mizzen-mixer", "Mixer's own")
    flag("monitoring-address", "127.0.1.2:15014", "/ready, /metrics, /version and /debug")
    flag("token-keys", "", "JSON Web Key Set of who issues the tokens that show /debug to other machines; else none do")
    flag("config-dir", "", f"folder of the mesh's YAML, watched; {FOLDER} where no --kubeconfig is given")
    flag("kubeconfig", "", "follow a Kubernetes API server: path of a kubeconfig, or in-cluster")
    flag("registry-dir", "", "folder of YAML with the platform's Pods, for handlers that name none")
    flag("prometheus-address", str(EVERYWHERE), "where handlers of the adapter prometheus serve /metrics")
    flag("default-namespace", "istio-system", "rules in this namespace apply to every request")
    flag("max-valid-duration", "0", "seconds that proxies may keep a verdict at most; 0 is as long as handlers say")
    flag("max-message-size", "1048576", "bytes of the largest message that is read")
    flag("max-concurrent-streams", "1024", "calls at once on one connection")
    flag("max-concurrent-requests", "1024", "calls at once in all; more are refused as UNAVAILABLE")
    flag("load-shedding", "disabled", "what to do beyond the limits that follow: disabled, logonly or enforce")
    flag("average-latency-threshold", "0", "seconds that calls may take on average; 0 is no limit")
    flag("latency-samples-per-second", "0", "how often latency is sampled; 0 is always")
    flag("latency-sample-half-life", "1", "seconds until a sample of latency counts half")
    flag("max-requests-per-second", "0", "checks and entries of reports per second; 0 is no limit")
    flag("burst-size", "0", "how many of them may come at once")
    flag("log-level", "info", f"how much to log: {', '.join(LEVELS)}")
    flag("log-format", "text", "form of a log line: text or json")


def _settings(given: argparse.Namespace) -> Settings:
    if not given.default_namespace:
        raise ValueError("the default namespace must have a name")
    return Settings(
        address=Address.parse(given.address) if given.address else None,
        monitoring_address=Address.parse(given.monitoring_address),
        config_dir=_folder(given.config_dir, given.kubeconfig),
        registry_dir=Path(given.registry_dir) if given.registry_dir else None,
        kubeconfig=given.kubeconfig,
        secure=_secure(given),
        tokens=TokenSettings(Path(given.token_keys), given.trust_domain, given.namespace) if given.token_keys else None,
        prometheus_address=Address.parse(given.prometheus_address),
        default_namespace=given.default_namespace,
        longest_validity=_longest(_number("max-valid-duration", given.max_valid_duration)),
        max_message_bytes=int(_number("max-message-size", given.max_message_size, least=1)),
        max_streams=int(_number("max-concurrent-streams", given.max_concurrent_streams, least=1)),
        max_requests=int(_number("max-concurrent-requests", given.max_concurrent_requests, least=1)),
        limits=_limits(given),
        log_level=_choice("log-level", given.log_level, LEVELS),
        log_format=cast("LogFormat", _choice("log-format", given.log_format, ("text", "json"))),
    )


def _secure(given: argparse.Namespace) -> SecureSettings | None:
    if bool(given.secure_address) != bool(given.ca_address):
        raise ValueError("--secure-address goes together with --ca-address")
    if not given.secure_address:
        if not given.address:
            raise ValueError("without --address, proxies need --secure-address")
        return None
    aliases = filter(None, map(str.strip, given.trust_domain_aliases.split(",")))
    return SecureSettings(
        Address.parse(given.secure_address),
        IdentitySettings(
            SpiffeId(given.trust_domain, given.namespace, given.service_account),
            Address.parse(given.ca_address),
            Path(given.ca_roots),
            Path(given.token_file),
            int(_number("certificate-seconds", given.certificate_seconds)),
        ),
        frozenset((given.trust_domain, *aliases)),
    )


def _folder(given: str, kubeconfig: str) -> Path | None:
    """Beside a cluster only a folder that was asked for counts."""
    if given:
        return Path(given)
    return None if kubeconfig else Path(FOLDER)


def _longest(seconds: float) -> timedelta:
    return timedelta(seconds=seconds) if seconds else timedelta.max


def _limits(given: argparse.Namespace) -> Limits:
    limits = Limits(
        mode=Mode(_choice("load-shedding", given.load_shedding, tuple(Mode))),
        average_latency=_number("average-latency-threshold", given.average_latency_threshold),
        latency_samples_per_second=_number("latency-samples-per-second", given.latency_samples_per_second) or math.inf,
        latency_half_life=_number("latency-sample-half-life", given.latency_sample_half_life, least=0.001),
        requests_per_second=_number("max-requests-per-second", given.max_requests_per_second),
        burst=int(_number("burst-size", given.burst_size)),
    )
    if limits.requests_per_second and not limits.burst:
        raise ValueError("--max-requests-per-second needs a --burst-size above 0: with none, no request ever passes")
    return limits


def _number(name: str, text: str, least: float = 0) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not least <= number < math.inf:
        raise ValueError(f"--{name} is a number of at least {least:g}, not {text!r}")
    return number


def _choice(name: str, text: str, choices: Sequence[str]) -> str:
    if text not in choices:
        raise ValueError(f"--{name} is one of {', '.join(choices)}, not {text!r}")
    return text
