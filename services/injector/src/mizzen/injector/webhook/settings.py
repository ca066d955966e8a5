"""Flags and environment."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import cast

from mizzen.injector.certificate.keeping import Wanted
from mizzen.injector.webhook.authority import AuthoritySettings
from mizzen.injector.webhook.cluster import Kept
from mizzen.injector.webhook.files import SettingsFiles
from mizzen.runtime.address import Address
from mizzen.runtime.logs import LEVELS, LogFormat

PREFIX = "MIZZEN_INJECTOR_"
NATIVE = {"auto": None, "true": True, "false": False}


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """How this injector runs."""

    address: Address
    monitoring_address: Address
    certificate: Path
    key: Path
    kubeconfig: str
    """Of the API server; `in-cluster` in a Pod."""
    kept: Kept | None
    """What the leader of the replicas keeps current there."""
    files: SettingsFiles
    native_sidecars: bool | None
    """None: as the cluster's version says."""
    log_level: str
    log_format: LogFormat


def read_webhook_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> WebhookSettings:
    """A flag wins over its variable. Exits with status 2 and the usage for what is not understood."""
    parser = argparse.ArgumentParser(
        prog="mizzen-injector",
        description="Adds sidecars to Pods: the admission webhook of the mesh.",
        epilog=f"Each flag has a variable: --cert-file is {PREFIX}CERT_FILE.",
    )

    def flag(name: str, default: str, text: str, choices: Sequence[str] | None = None) -> None:
        value = environment.get(PREFIX + name.upper().replace("-", "_"), default)
        parser.add_argument(f"--{name}", default=value, help=f"{text} ({value or 'none'})")
        allowed[name.replace("-", "_")] = choices

    allowed: dict[str, Sequence[str] | None] = {}
    flag("address", "127.0.1.3:15017", "where the API server connects, TLS")
    flag("monitoring-address", "127.0.1.3:15014", "/ready, /metrics and /version")
    flag("cert-file", "/etc/mizzen/tls/tls.crt", "certificate chain, PEM; watched, as all files are")
    flag("key-file", "/etc/mizzen/tls/tls.key", "its key, PEM")
    flag("kubeconfig", "", "the API server: path of a kubeconfig, or in-cluster")
    flag("certificate-secret", "", "keep the certificate in this Secret instead: <namespace>/<name>")
    flag("certificate-hosts", "", "names in it, divided by commas: those of the webhook's Service")
    flag("certificate-days", "90", "how long one is valid; it is renewed after two thirds of that")
    flag("ca-address", "", "have the mesh's authority sign it: <host>:<port> of Pilot's secure port")
    flag("ca-roots", "/var/run/secrets/istio/root-cert.pem", "by these roots the authority is known, PEM")
    flag("ca-token", "/var/run/secrets/tokens/istio-token", "the ServiceAccount's token for it")
    flag("lease", "", "the Lease whose holder writes that Secret and the webhook configurations: <namespace>/<name>")
    flag("mutating-webhook", "", "name of the MutatingWebhookConfiguration, which is told the Secret's roots")
    flag("validating-webhook", "", "the same of the ValidatingWebhookConfiguration, which then fails closed")
    flag("values-file", "", "values of the chart, YAML")
    flag("mesh-config-file", "", "the mesh config, YAML")
    flag("inject-config-file", "", "policy and templates, YAML")
    flag("native-sidecars", "false", "auto: if the API server has 1.33 or newer; true; false", tuple(NATIVE))
    flag("log-level", "info", ", ".join(LEVELS), LEVELS)
    flag("log-format", "text", "text or json", ("text", "json"))
    given = parser.parse_args(arguments)
    for name, choices in allowed.items():
        if choices and getattr(given, name) not in choices:
            parser.error(
                f"--{name.replace('_', '-')} must be one of {', '.join(choices)}, not {getattr(given, name)!r}"
            )
    try:
        return _settings(given)
    except ValueError as error:
        parser.error(str(error))


def _settings(given: argparse.Namespace) -> WebhookSettings:
    if given.native_sidecars == "auto" and not given.kubeconfig:
        raise ValueError("--native-sidecars=auto needs --kubeconfig")

    def path(text: str) -> Path | None:
        return Path(text) if text else None

    return WebhookSettings(
        address=Address.parse(given.address),
        monitoring_address=Address.parse(given.monitoring_address),
        certificate=Path(given.cert_file),
        key=Path(given.key_file),
        kubeconfig=given.kubeconfig,
        kept=_kept(given) if given.lease or given.certificate_secret else None,
        files=SettingsFiles(path(given.values_file), path(given.mesh_config_file), path(given.inject_config_file)),
        native_sidecars=NATIVE[given.native_sidecars],
        log_level=given.log_level,
        log_format=cast("LogFormat", given.log_format),
    )


def _kept(given: argparse.Namespace) -> Kept:
    hosts = tuple(host for host in map(str.strip, given.certificate_hosts.split(",")) if host)
    if not given.kubeconfig:
        raise ValueError("--lease and --certificate-secret need --kubeconfig")
    if given.certificate_secret and not hosts:
        raise ValueError("--certificate-secret needs --certificate-hosts")
    if not (given.certificate_days.isdecimal() and int(given.certificate_days)):
        raise ValueError(f"--certificate-days must be a number from 1, not {given.certificate_days!r}")
    return Kept(
        lease=_object("lease", given.lease),
        secret=_object("certificate-secret", given.certificate_secret) if given.certificate_secret else None,
        wanted=Wanted(hosts, timedelta(days=int(given.certificate_days))),
        mutating=given.mutating_webhook,
        validating=given.validating_webhook,
        authority=_authority(given) if given.ca_address else None,
    )


def _authority(given: argparse.Namespace) -> AuthoritySettings:
    if not given.certificate_secret:
        raise ValueError("--ca-address needs --certificate-secret")
    return AuthoritySettings(Address.parse(given.ca_address), Path(given.ca_roots), Path(given.ca_token))


def _object(flag: str, text: str) -> tuple[str, str]:
    namespace, _, name = text.partition("/")
    if not namespace or not name or "/" in name:
        raise ValueError(f"--{flag} is <namespace>/<name>, for instance istio-system/mizzen-injector, not {text!r}")
    return namespace, name
