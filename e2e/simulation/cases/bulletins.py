"""Istio's security bulletins about ways around a policy, each as policies and the clients that tried.

Source: istio.io/latest/news/security.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from simulation.cases.admission import BLUE, BOTH, PLAIN, WEB
from simulation.harness.admission import MESH, Speaks, Visitor, Workload

MERGES = replace(MESH, path_normalization="MERGE_SLASHES")
DECODES = replace(MESH, path_normalization="DECODE_AND_MERGE_SLASHES")
DENY_ADMIN = "{to: [{operation: {paths: [/admin]}}]}"
ALLOW_OTHERS = "{to: [{operation: {notPaths: [/admin]}}]}"


@dataclass(frozen=True)
class Attempt:
    """Whom a workload must keep out, and whom it must not."""

    workload: Workload
    out: tuple[Visitor, ...]
    served: tuple[Visitor, ...] = ()
    speaks: Speaks = "http"


def _paths(*paths: str) -> tuple[Visitor, ...]:
    return tuple(Visitor(path=path) for path in paths)


def _headers(*values: tuple[str, str]) -> tuple[Visitor, ...]:
    return tuple(Visitor(headers=(each,)) for each in values)


def _hosts(*hosts: str) -> tuple[Visitor, ...]:
    return tuple(Visitor(host=host) for host in hosts)


def _team(action: str, value: str) -> Workload:
    return Workload(action, f"{{when: [{{key: 'request.headers[x-team]', values: ['{value}']}}]}}")


RESOLVED = ("/admin", "/admin?a=b", "/x/../admin", "/./admin", "/%61dmin", "/x\\..\\admin")
MERGED = (*RESOLVED, "//admin", "///admin", "/x/..//admin")
DECODED = (*MERGED, "/%2fadmin", "/x%2F..%2Fadmin", "/%5Cadmin")
SECRET = "{to: [{operation: {hosts: [Secret.com, 'Secret.com:*']}}]}"
TOKEN = "{from: [{source: {notRequestPrincipals: ['*']}}], to: [{operation: {paths: [/private]}}]}"

BULLETINS: Mapping[str, tuple[Attempt, ...]] = {
    # CVE-2019-18802: blanks after a value made it another value.
    "2019-007": (Attempt(_team("DENY", "blue"), _headers(("x-team", "blue  "), ("x-team", " blue\t")), (PLAIN,)),),
    # CVE-2020-8595: a query or a fragment led around a path that needs a token.
    "2020-001": (Attempt(Workload("DENY", TOKEN), _paths("/private", "/private?a", "/private#a"), _paths("/public")),),
    # CVE-2020-16844: a suffix of principals was ignored on TCP.
    "2020-009": (
        Attempt(
            Workload("DENY", "{from: [{source: {principals: ['*/sa/web']}}]}"), (WEB,), (Visitor("bank/teller"),), "tcp"
        ),
        Attempt(
            Workload("DENY", "{from: [{source: {namespaces: ['*fault']}}]}"), (WEB,), (Visitor("bank/teller"),), "tcp"
        ),
    ),
    # CVE-2020-25017: only the first of several values of a header counted.
    "2020-010": (Attempt(_team("DENY", "red"), (BOTH,), (BLUE,)),),
    # Fields that only mutual TLS fills, negated: a client in plain text has no principal.
    "2021-004": (
        Attempt(
            Workload("DENY", "{from: [{source: {notPrincipals: [cluster.local/ns/default/sa/web]}}]}"),
            (PLAIN, Visitor("bank/teller")),
            (WEB,),
        ),
    ),
    # CVE-2021-31920: several slashes, and escaped ones.
    "2021-005": tuple(
        Attempt(Workload(action, rule, settings=settings), _paths(*paths), _paths("/public", "/administrator"))
        for action, rule in (("DENY", DENY_ADMIN), ("ALLOW", ALLOW_OTHERS))
        for settings, paths in ((MESH, RESOLVED), (MERGES, MERGED), (DECODES, DECODED))
    ),
    # CVE-2021-39155 and -39156: the case of a host, its port, a fragment.
    "2021-008": (
        Attempt(
            Workload("DENY", SECRET),
            _hosts("secret.com", "SECRET.COM", "Secret.com:80", "secret.com:8443"),
            _hosts("shop.com", "secret.com.org"),
        ),
        Attempt(Workload("DENY", DENY_ADMIN), _paths("/admin#a", "/admin?a#b", "http://shop.com/admin#a")),
    ),
    # CVE-2022-21679: hosts and notHosts were left out for older proxies.
    "2022-001": (
        Attempt(
            Workload("DENY", "{to: [{operation: {notHosts: [shop.com]}}]}"), _hosts("other.com"), _hosts("shop.com")
        ),
        Attempt(Workload("ALLOW", "{to: [{operation: {hosts: [shop.com]}}]}"), _hosts("other.com"), _hosts("shop.com")),
    ),
    # CVE-2023-27487: a client says itself which path it had asked for.
    "2023-001": (
        Attempt(
            Workload("DENY", DENY_ADMIN),
            (Visitor(path="/admin", headers=(("x-envoy-original-path", "/public"),)),),
            (Visitor(path="/public", headers=(("x-envoy-original-path", "/admin"),)),),
        ),
    ),
    # CVE-2023-35944: a scheme in another case.
    "2023-003": (Attempt(Workload("DENY", DENY_ADMIN), _paths("HTTP://shop.com/admin", "hTTp://shop.com/x/../admin")),),
    # CVE-2026-26308: a second value hid the first.
    "2026-001": (
        Attempt(_team("DENY", "blue"), (BOTH, Visitor(headers=(("x-team", "a"), ("X-TEAM", "blue")))), (PLAIN,)),
    ),
    # CVE-2026-39350: a dot in a service account's name matched any letter.
    "2026-003": (
        Attempt(
            Workload("ALLOW", "{from: [{source: {serviceAccounts: [default/a.b]}}]}"),
            (Visitor("default/axb"), Visitor("default/a-b")),
            (Visitor("default/a.b"),),
        ),
    ),
    # Envoy's CVE-2025-46821: a star in the path was no part of a template.
    "CVE-2025-46821": (
        Attempt(Workload("DENY", "{to: [{operation: {paths: ['/shop/{*}']}}]}"), _paths("/shop/a*b", "/shop/*")),
        Attempt(Workload("DENY", "{to: [{operation: {paths: ['/shop/{**}']}}]}"), _paths("/shop/a/b*")),
    ),
    # A trust domain that only begins or ends like the client's, and a dot that is no wildcard.
    "trust domain": (
        *(
            Attempt(Workload("ALLOW", f"{{from: [{{source: {{trustDomains: [{domain}]}}}}]}}"), (WEB, PLAIN))
            for domain in ("luster.local", "cluster.loca", "cluster", "local", "c.uster.local")
        ),
        Attempt(Workload("ALLOW", "{from: [{source: {trustDomains: [cluster.local]}}]}"), (PLAIN,), (WEB,)),
    ),
}
