"""The names under which clients call a service."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def domains(host: str, addresses: Iterable[str], headless: bool, proxy_domain: str) -> list[str]:
    """The domains of a virtual host, without ports and in Istio's order.

    The full name, the same with a trailing dot, the short forms that resolve in the proxy's own DNS domain, then the
    addresses. A headless service also answers to the names of its pods.
    """
    names = [host, *_short_forms(host, proxy_domain)]
    if not host.startswith("*"):
        names.insert(1, f"{host}.")
    found = [*names, *(f"[{ip}]" if ":" in ip else ip for ip in addresses if "/" not in ip)]
    if headless:
        found += [f"*.{name}" for name in names]
    return list(dict.fromkeys(found))


def with_ports(names: Iterable[str], port: int) -> Iterator[str]:
    """Each domain and the same followed by the port."""
    for name in names:
        yield name
        yield f"{name}:{port}"


def _short_forms(host: str, proxy_domain: str) -> list[str]:
    if host.startswith("*"):
        return []
    namespace, cluster, suffix = proxy_domain.partition(".svc.")
    if not cluster:
        return _unshared(host, proxy_domain)
    left = host.removesuffix(f".svc.{suffix}")
    if left == host:
        return []
    name, _, service_namespace = left.rpartition(".")
    if service_namespace == namespace:
        return [name, f"{left}.svc", left]
    return [left, f"{left}.svc"]


def _unshared(host: str, proxy_domain: str) -> list[str]:
    """The left part that is not common to both names, and with one label more where two labels are left."""
    own, other = host.split("."), proxy_domain.split(".")
    common = 0
    while common < min(len(own), len(other)) and own[-1 - common] == other[-1 - common]:
        common += 1
    unique = own[: len(own) - common]
    if not common or not unique:
        return []
    forms = [".".join(unique)]
    if len(unique) == 2:
        forms.append(f"{forms[0]}.{own[len(unique)]}")
    return forms
