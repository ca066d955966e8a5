"""Each attribute of a policy, and what Envoy makes of one of its values."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from envoy.config.rbac.v3 import rbac_pb2
from envoy.extensions.path.match.uri_template.v3 import uri_template_match_pb2
from envoy.type.matcher.v3 import path_pb2, value_pb2

from mizzen.pilot.generate.authz.texts import claim, exact, header, metadata_matcher, pattern, text
from mizzen.pilot.generate.protos import cidr, extension
from mizzen.pilot.generate.tokens import FILTER, PAYLOAD

SPIFFE: Final = "spiffe://"
_BRACKETS: Final = re.compile(r"\[([^\[\]]+)\]")


class Conditions(NamedTuple):
    """One attribute: one of `values`, none of `not_values`."""

    key: str
    """A key of `when`, or for fields of an operation: hosts, methods, paths."""
    values: Sequence[str]
    not_values: Sequence[str]


class Where(NamedTuple):
    """What values mean depends on it."""

    namespace: str
    """Of the policy."""
    trust_domains: tuple[str, ...]
    """The mesh's own first, then its aliases."""


def is_http_only(key: str) -> bool:
    """Whether a TCP connection has no such attribute."""
    return key in ("hosts", "methods", "paths") or key.startswith("request.")


def is_permission(key: str) -> bool:
    """Whether it is about what is asked for; else it is about who asks."""
    return key in _PERMISSIONS or key.startswith("experimental.")


def permission(key: str, value: str) -> Any:
    """What Envoy matches for one value."""
    if key.startswith("experimental."):
        return rbac_pb2.Permission(metadata=_filter_metadata(key, value))
    return _PERMISSIONS[key](value)


def principals(key: str, value: str, where: Where) -> list[Any]:
    """What Envoy matches for one value: any of these."""
    if key.startswith("request.headers["):
        return [rbac_pb2.Principal(header=header(_BRACKETS.findall(key)[0], value))]
    if key.startswith("request.auth.claims["):
        return [rbac_pb2.Principal(metadata=claim(_BRACKETS.findall(key), text(value)))]
    if key == "source.principal":
        return [_authenticated(text(each, SPIFFE)) for each in _with_aliases(value, where.trust_domains)]
    return [_PRINCIPALS[key](value, where)]


def _with_aliases(principal: str, trust_domains: tuple[str, ...]) -> list[str]:
    """The same workload under each name of the mesh's trust domain."""
    domain, slash, rest = principal.partition("/")
    if not slash or domain not in trust_domains:
        return [principal]
    return [f"{each}/{rest}" for each in trust_domains]


def _authenticated(name: Any) -> Any:
    return rbac_pb2.Principal(authenticated=rbac_pb2.Principal.Authenticated(principal_name=name))


def _namespace(value: str, _where: Where) -> Any:
    return _authenticated(pattern(f".*/ns/{re.escape(value).replace(re.escape('*'), '.*')}/.*"))


def _service_account(value: str, where: Where) -> Any:
    namespace, _, account = value.rpartition("/")
    inside = f"/ns/{re.escape(namespace or where.namespace)}/(.+/|)sa/{re.escape(account)}(/.+)?"
    return _authenticated(pattern(f"{SPIFFE}.+{inside}"))


def _trust_domain(value: str, _where: Where) -> Any:
    if value == "*":
        return _authenticated(pattern(f"{SPIFFE}.+"))
    return _authenticated(pattern(f"{SPIFFE}{re.escape(value).replace(re.escape('*'), '[^/]*')}/.*"))


def _request_principal(value: str, _where: Where) -> Any:
    """`issuer/subject`. One wildcard counts: that in front is the issuer's, else that at the end is the subject's.

    Without a slash the wildcard tells which half there is; without a wildcard too, the subject is empty.
    """
    issuer, slash, subject = value.rpartition("/")
    if value == "*":
        halves = text("*"), text("*")
    elif value.startswith("*"):
        halves = (text(issuer), exact(subject)) if slash else (text("*"), text(value))
    elif value.endswith("*"):
        halves = (exact(issuer), text(subject)) if slash else (text(value), text("*"))
    else:
        halves = (exact(issuer), exact(subject)) if slash else (exact(value), exact(""))
    claims = [
        rbac_pb2.Principal(
            metadata=metadata_matcher(FILTER, [PAYLOAD, name], value_pb2.ValueMatcher(string_match=half))
        )
        for name, half in zip(("iss", "sub"), halves, strict=True)
    ]
    return rbac_pb2.Principal(and_ids=rbac_pb2.Principal.Set(ids=claims))


def _filter_metadata(key: str, value: str) -> Any:
    """`experimental.envoy.filters.NAME[KEY]`; a value in brackets is one that a list has."""
    namespace = key.removeprefix("experimental.").partition("[")[0]
    inner = value[1:-1] if value.startswith("[") and value.endswith("]") else ""
    matcher = value_pb2.ValueMatcher(string_match=text(inner or value))
    if inner:
        matcher = value_pb2.ValueMatcher(list_match=value_pb2.ListMatcher(one_of=matcher))
    return metadata_matcher(namespace, _BRACKETS.findall(key)[:1], matcher)


def _path(value: str) -> Any:
    if "{" in value:
        template = uri_template_match_pb2.UriTemplateMatchConfig(path_template=_template(value))
        return rbac_pb2.Permission(
            uri_template=extension("envoy.path.match.uri_template.uri_template_matcher", template)
        )
    return rbac_pb2.Permission(url_path=path_pb2.PathMatcher(path=text(value)))


def _template(path: str) -> str:
    """Istio's wildcards in Envoy's spelling."""
    return path.replace("{**}", "**").replace("{*}", "*")


_PERMISSIONS: Final[Mapping[str, Callable[[str], Any]]] = {
    "hosts": lambda value: rbac_pb2.Permission(header=header(":authority", value, ignore_case=True)),
    "methods": lambda value: rbac_pb2.Permission(header=header(":method", value)),
    "paths": _path,
    "destination.ip": lambda value: rbac_pb2.Permission(destination_ip=cidr(value)),
    "destination.port": lambda value: rbac_pb2.Permission(destination_port=int(value)),
    "connection.sni": lambda value: rbac_pb2.Permission(requested_server_name=text(value)),
}
_PRINCIPALS: Final[Mapping[str, Callable[[str, Where], Any]]] = {
    "source.ip": lambda value, _: rbac_pb2.Principal(direct_remote_ip=cidr(value)),
    "remote.ip": lambda value, _: rbac_pb2.Principal(remote_ip=cidr(value)),
    "source.namespace": _namespace,
    "source.serviceAccount": _service_account,
    "source.trustDomain": _trust_domain,
    "request.auth.principal": _request_principal,
    "request.auth.audiences": lambda value, _: rbac_pb2.Principal(metadata=claim(["aud"], text(value))),
    "request.auth.presenter": lambda value, _: rbac_pb2.Principal(metadata=claim(["azp"], text(value))),
}
