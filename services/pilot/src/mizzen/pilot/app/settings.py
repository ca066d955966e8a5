"""Flags and environment."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from mizzen.pilot.app.authority import AuthoritySettings
from mizzen.pilot.ca.service import Account
from mizzen.runtime.address import Address
from mizzen.runtime.logs import LEVELS, LogFormat

PREFIX = "MIZZEN_PILOT_"


@dataclass(frozen=True, slots=True)
class Settings:
    """How this Pilot runs."""

    xds_address: Address
    monitoring_address: Address
    config_dir: Path | None
    """A folder of the mesh's YAML; None where there is none."""
    registry_dir: Path | None
    mesh_config: Path | None = None
    """A YAML file with the fields of Istio's MeshConfig; None means its defaults."""
    kubeconfig: str = ""
    """The path of a kubeconfig, or `in-cluster`; empty where there is no Kubernetes."""
    status_lease: tuple[str, str] | None = None
    """Namespace and name of the Lease whose holder writes the status of resources; None: nobody does."""
    credential_namespaces: tuple[str, ...] = ()
    """Of Kubernetes: those whose Secrets gateways may name as their certificates."""
    authority: AuthoritySettings | None = None
    """None: nobody is certified here."""
    log_level: str = "info"
    log_format: LogFormat = "text"


def read_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """A flag wins over its variable (MIZZEN_PILOT_ and the flag in capitals).

    Exits with status 2 and the usage for what is not understood.
    """
    parser = argparse.ArgumentParser(
        prog="mizzen-pilot",
        description="Serves the configuration in folders of YAML, or of a Kubernetes API server, to proxies over xDS.",
        epilog=f"Each flag has a variable: --xds-address is {PREFIX}XDS_ADDRESS.",
    )

    def flag(name: str, default: str, text: str, choices: Sequence[str] | None = None) -> None:
        variable = PREFIX + name.upper().replace("-", "_")
        parser.add_argument(
            f"--{name}", default=environment.get(variable, default), help=f"{text} (%(default)s)", choices=choices
        )

    flag("xds-address", "127.0.1.1:15010", "where proxies connect, plaintext gRPC")
    flag("monitoring-address", "127.0.1.1:15014", "/ready, /metrics, /version and /debug")
    flag("config-dir", "", "folder of the mesh's YAML, watched; .mizzen/config where there is no Kubernetes")
    flag("registry-dir", "", "the same for further Services, Pods and EndpointSlices; .mizzen/registry")
    flag("kubeconfig", "", "follow a Kubernetes API server: path of a kubeconfig, or in-cluster")
    flag("mesh-config", "", "YAML file with fields of Istio's MeshConfig, watched")
    flag("status-lease", "", "write the status of resources while holding this Lease: <namespace>/<name>")
    flag("credential-namespaces", "", "follow Secrets of these namespaces for gateways, divided by commas")
    flag("secure-address", "", "where proxies connect with TLS, for certificates and xDS (port 15012)")
    flag("ca-dir", "", "folder of the certificate authority (ca-cert.pem, ...); a root is made where there is none")
    flag("ca-namespace", "", "keep the authority in Secrets of this namespace, and have Kubernetes judge tokens")
    flag("roots-config-map", "istio-ca-root-cert", "name of the ConfigMaps with the roots, of --ca-namespace")
    flag("roots-file", "", "write the roots to this file as well, for proxies that can read it")
    flag("secure-hosts", "", "further names of Pilot's Service in its certificate, divided by commas")
    flag("custom-dns-names", "", "DNS names in certificates of servers: ACCOUNT.NAMESPACE:NAME, divided by commas")
    flag("token-keys", "", "JSON Web Key Set of who issues the tokens of service accounts")
    flag("log-level", "info", "how much to log", LEVELS)
    flag("log-format", "text", "form of a log line", ("text", "json"))
    given = parser.parse_args(arguments)
    if given.log_level not in LEVELS:
        parser.error(f"log level must be one of {', '.join(LEVELS)}, not {given.log_level!r}")
    if given.log_format not in ("text", "json"):
        parser.error(f"log format must be text or json, not {given.log_format!r}")
    try:
        return Settings(
            xds_address=Address.parse(given.xds_address),
            monitoring_address=Address.parse(given.monitoring_address),
            config_dir=_folder(given.config_dir, ".mizzen/config", given.kubeconfig),
            registry_dir=_folder(given.registry_dir, ".mizzen/registry", given.kubeconfig),
            mesh_config=Path(given.mesh_config) if given.mesh_config else None,
            kubeconfig=given.kubeconfig,
            status_lease=_lease(given.status_lease, given.kubeconfig),
            credential_namespaces=_credential_namespaces(given.credential_namespaces, given.kubeconfig),
            authority=_authority(given),
            log_level=given.log_level,
            log_format=cast("LogFormat", given.log_format),
        )
    except ValueError as error:
        parser.error(str(error))


def _authority(given: argparse.Namespace) -> AuthoritySettings | None:
    if given.ca_dir and given.ca_namespace:
        raise ValueError("--ca-dir and --ca-namespace are two places for one authority: name one")
    if bool(given.secure_address) != bool(given.ca_dir or given.ca_namespace):
        raise ValueError("--secure-address goes together with --ca-dir or --ca-namespace")
    if not given.secure_address:
        return None
    if given.ca_namespace and not given.kubeconfig:
        raise ValueError("--ca-namespace needs --kubeconfig")
    return AuthoritySettings(
        Address.parse(given.secure_address),
        folder=Path(given.ca_dir) if given.ca_dir else None,
        token_keys=Path(given.token_keys) if given.token_keys else None,
        namespace=given.ca_namespace,
        roots_name=given.roots_config_map,
        roots_file=Path(given.roots_file) if given.roots_file else None,
        hosts=_list(given.secure_hosts),
        account_hosts=_account_hosts(given.custom_dns_names),
    )


def _account_hosts(given: str) -> dict[Account, tuple[str, ...]]:
    """Of Citadel's flag, in its form: an account may come several times."""
    found: dict[Account, tuple[str, ...]] = {}
    for item in _list(given):
        owner, _, host = item.partition(":")
        account, _, namespace = owner.rpartition(".")
        if not account or not namespace or not host:
            raise ValueError(f"--custom-dns-names has items ACCOUNT.NAMESPACE:NAME, not {item!r}")
        key = (namespace, account)
        found[key] = (*found.get(key, ()), host)
    return found


def _list(given: str) -> tuple[str, ...]:
    return tuple(filter(None, map(str.strip, given.split(","))))


def _credential_namespaces(given: str, kubeconfig: str) -> tuple[str, ...]:
    if given and not kubeconfig:
        raise ValueError("--credential-namespaces needs --kubeconfig; in folders, Secrets of all namespaces count")
    return tuple(dict.fromkeys(_list(given)))


def _folder(given: str, default: str, kubeconfig: str) -> Path | None:
    """With Kubernetes, a folder is read only where one is named."""
    if given:
        return Path(given)
    return None if kubeconfig else Path(default)


def _lease(given: str, kubeconfig: str) -> tuple[str, str] | None:
    if not given:
        return None
    namespace, _, name = given.partition("/")
    if not namespace or not name or "/" in name:
        raise ValueError(f"--status-lease is <namespace>/<name>, for instance istio-system/mizzen-pilot, not {given!r}")
    if not kubeconfig:
        raise ValueError("--status-lease needs --kubeconfig")
    return namespace, name
