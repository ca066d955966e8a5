"""Policy and MeshPolicy: mutual TLS as PeerAuthentications, tokens as RequestAuthentications and what needs them.

Source: authentication/v1alpha1 of istio/api at 1.4; Istio's documents on migrating to 1.5.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from mizzen.api.legacy import AuthenticationPolicy, Jwt, MutualTlsMode, StringMatch, TargetSelector
from mizzen.api.problem import Problem
from mizzen.api.resource import Resource
from mizzen.api.security import (
    AuthorizationAction,
    AuthorizationPolicy,
    AuthorizationRule,
    JWTHeader,
    JWTRule,
    MutualTLS,
    MutualTLSMode,
    Operation,
    PeerAuthentication,
    RequestAuthentication,
    RuleFrom,
    RuleTo,
    Source,
)
from mizzen.pilot.snapshot.legacy.made import selector, stand_in
from mizzen.pilot.snapshot.select import of_kind
from mizzen.pilot.snapshot.service import Port, Service

NOBODY = RuleFrom(source=Source(not_request_principals=("*",)))
"""A request without a good token."""
MESH = "MeshPolicy"


@dataclass(slots=True)
class Policies:
    """What Policies and MeshPolicies mean."""

    peers: list[Resource[PeerAuthentication]] = field(default_factory=list)
    authentication: list[Resource[RequestAuthentication]] = field(default_factory=list)
    authorization: list[Resource[AuthorizationPolicy]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def of_policies(
    resources: Iterable[Resource], services: Mapping[str, tuple[Service, ...]], root_namespace: str
) -> Policies:
    """All of a mesh."""
    found = Policies()
    policies = of_kind(resources, AuthenticationPolicy)
    own = [policy for policy in policies if policy.kind != MESH]
    narrower = {(policy.metadata.namespace, "") for policy in own if not policy.spec.targets}
    narrower |= {(policy.metadata.namespace, target.name) for policy in own for target in policy.spec.targets}
    for policy in policies:
        _Translation(policy, services, root_namespace, frozenset(narrower), found).run()
    return found


class _Translation:
    """One policy."""

    def __init__(
        self,
        policy: Resource[AuthenticationPolicy],
        services: Mapping[str, tuple[Service, ...]],
        root_namespace: str,
        narrower: frozenset[tuple[str, str]],
        found: Policies,
    ) -> None:
        """`narrower` are the namespaces (with "") and services that have a policy of their own."""
        self._narrower = narrower
        self._policy = policy
        self._spec = policy.spec
        self._is_mesh = policy.kind == MESH
        self._namespace = root_namespace if self._is_mesh else policy.metadata.namespace
        self._services = services
        self._found = found

    def run(self) -> None:
        tokens = [origin.jwt for origin in self._spec.origins if origin.jwt is not None]
        if not self._spec.targets:
            self._add_peers("", PeerAuthentication(mtls=self._mtls()))
            for each in self._concerned():
                self._add_tokens(each, tokens)
                self._need(each, tokens, ())
        for index, target in enumerate(self._spec.targets):
            service = self._target(target)
            if service is None:
                self._tell(f"spec.targets[{index}].name", f"there is no service {target.name} with workloads here")
                continue
            ports = tuple(self._ports(service, target, index))
            if target.ports and not ports:
                continue
            self._add_peers(target.name, self._peers_of(service, ports))
            self._add_tokens(service, tokens)
            self._need(service, tokens, ports)

    def _mtls(self) -> MutualTLS:
        """Without peers plain text is spoken."""
        peers = self._spec.peers
        if not peers:
            return MutualTLS(mode=MutualTLSMode.DISABLE)
        stated = next((peer.mtls for peer in peers if peer.mtls is not None), None)
        lenient = self._spec.peer_is_optional or (
            stated is not None and (stated.allow_tls or stated.mode is MutualTlsMode.PERMISSIVE)
        )
        return MutualTLS(mode=MutualTLSMode.PERMISSIVE if lenient else MutualTLSMode.STRICT)

    def _peers_of(self, service: Service, ports: tuple[int, ...]) -> PeerAuthentication:
        if not ports:
            return PeerAuthentication(selector=selector(service.selector), mtls=self._mtls())
        return PeerAuthentication(
            selector=selector(service.selector), port_level_mtls={port: self._mtls() for port in ports}
        )

    def _add_peers(self, suffix: str, spec: PeerAuthentication) -> None:
        self._found.peers.append(stand_in(self._policy, spec, self._namespace, self._name(suffix)))

    def _add_tokens(self, service: Service, tokens: list[Jwt]) -> None:
        if tokens:
            rules = tuple(map(_rule, tokens))
            spec = RequestAuthentication(selector=selector(service.selector), jwt_rules=rules)
            name = self._name(service.name)
            self._found.authentication.append(stand_in(self._policy, spec, service.namespace, name))

    def _need(self, service: Service, tokens: list[Jwt], ports: tuple[int, ...]) -> None:
        """Refuse requests without a good token; connections that are not HTTP never had one."""
        if not tokens or self._spec.origin_is_optional:
            return
        spoken = tuple(sorted(_number(port) for port in service.ports if port.protocol.is_http))
        wanted = tuple(port for port in spoken if port in ports) if ports else spoken
        if not wanted:
            return
        on = tuple(str(port) for port in wanted)
        rule = AuthorizationRule(from_=(NOBODY,), to=tuple(RuleTo(operation=each) for each in self._where(tokens, on)))
        spec = AuthorizationPolicy(selector=selector(service.selector), action=AuthorizationAction.DENY, rules=(rule,))
        name = self._name(service.name)
        self._found.authorization.append(stand_in(self._policy, spec, service.namespace, name))

    def _where(self, tokens: list[Jwt], ports: tuple[str, ...]) -> Iterator[Operation]:
        """Paths that need a token; everywhere, where that cannot be said as exactly."""
        for index, token in enumerate(tokens):
            if not token.trigger_rules:
                yield Operation(ports=ports)
            for place, trigger in enumerate(token.trigger_rules):
                at = f"spec.origins[{index}].jwt.triggerRules[{place}]"
                included = self._paths(trigger.included_paths, f"{at}.includedPaths", "all paths need a token")
                excluded = self._paths(trigger.excluded_paths, f"{at}.excludedPaths", "these paths need a token")
                if len(included) < len(trigger.included_paths):
                    included = ()
                yield Operation(ports=ports, paths=included, not_paths=excluded)

    def _paths(self, matches: tuple[StringMatch, ...], path: str, instead: str) -> tuple[str, ...]:
        found = []
        for match in matches:
            text = match.exact or (match.prefix and f"{match.prefix}*") or (match.suffix and f"*{match.suffix}")
            if text:
                found.append(text)
            else:
                self._tell(path, f"a regular expression has no counterpart: {instead}")
        return tuple(found)

    def _concerned(self) -> Iterator[Service]:
        """Those for which nothing narrower says anything: a policy replaces the wider ones."""
        namespaces = self._services if self._is_mesh else (self._namespace,)
        for namespace in namespaces:
            if self._is_mesh and (namespace, "") in self._narrower:
                continue
            for service in self._services.get(namespace, ()):
                if service.selector and (namespace, service.name) not in self._narrower:
                    yield service

    def _target(self, target: TargetSelector) -> Service | None:
        here = self._services.get(self._namespace, ())
        return next((each for each in here if each.name == target.name and each.selector), None)

    def _ports(self, service: Service, target: TargetSelector, index: int) -> Iterator[int]:
        for wanted in target.ports:
            port = next(
                (each for each in service.ports if wanted.number == each.number or wanted.name == each.name), None
            )
            if port is None or isinstance(port.target_port, str):
                stated = wanted.number or wanted.name
                self._tell(f"spec.targets[{index}].ports", f"the workloads' number of port {stated} is not known")
            else:
                yield _number(port)

    def _name(self, suffix: str) -> str:
        name = self._policy.metadata.name
        return f"{name}-{suffix}" if suffix else name

    def _tell(self, path: str, message: str) -> None:
        self._found.problems.append(Problem(self._policy.source, self._policy.id, path, message, "warning"))


def _number(port: Port) -> int:
    """Of the workload's port; a name that only workloads know is taken for the service's number."""
    return port.target_port or port.number if isinstance(port.target_port, int) else port.number


def _rule(token: Jwt) -> JWTRule:
    headers = tuple(
        JWTHeader(name=name, prefix="Bearer " if name.lower() == "authorization" else "") for name in token.jwt_headers
    )
    keys = {"jwks": token.jwks} if token.jwks else {"jwks_uri": token.jwks_uri} if token.jwks_uri else {}
    return JWTRule(
        **keys,
        issuer=token.issuer,
        audiences=token.audiences,
        from_headers=headers,
        from_params=token.jwt_params,
        forward_original_token=True,
    )
