"""security.istio.io: who must show what, and who may do what."""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from mizzen.api.selector import WorkloadSelector
from mizzen.api.types import Bool, Duration, HeaderName, Model, UInt32


class PolicyTargetReference(Model):
    """An object that a policy is for, in place of a selector."""

    group: str = ""
    kind: str
    name: str
    namespace: str = ""


class MutualTLSMode(StrEnum):
    """What a workload accepts. UNSET: what the next wider scope says."""

    UNSET = "UNSET"
    DISABLE = "DISABLE"
    PERMISSIVE = "PERMISSIVE"
    STRICT = "STRICT"


class MutualTLS(Model):
    """Whether clients must prove who they are."""

    mode: MutualTLSMode = MutualTLSMode.UNSET


class PeerAuthentication(Model):
    """What the selected workloads, the namespace or the mesh accept from other workloads."""

    selector: WorkloadSelector | None = None
    mtls: MutualTLS | None = None
    port_level_mtls: dict[UInt32, MutualTLS] | None = None
    """By port of the workload, not of the service."""


class JWTHeader(Model):
    """A header that may carry a token, after a prefix."""

    name: HeaderName
    prefix: str = ""


class ClaimToHeader(Model):
    """A header of the request that is set to a claim."""

    header: HeaderName
    claim: str


class JWTRule(Model):
    """Tokens of one issuer: where they are, and what makes them good."""

    one_of: ClassVar[tuple[tuple[str, ...], ...]] = (("jwks_uri", "jwks"),)

    issuer: str = ""
    audiences: tuple[str, ...] = ()
    jwks_uri: str = ""
    jwks: str = ""
    from_headers: tuple[JWTHeader, ...] = ()
    from_params: tuple[str, ...] = ()
    from_cookies: tuple[str, ...] = ()
    output_payload_to_header: str = ""
    forward_original_token: Bool = False
    output_claim_to_headers: tuple[ClaimToHeader, ...] = ()
    timeout: Duration | None = None
    space_delimited_claims: tuple[str, ...] = ()


class RequestAuthentication(Model):
    """Tokens that requests may carry. One that is bad is refused; none at all is no fault."""

    one_of: ClassVar[tuple[tuple[str, ...], ...]] = (("selector", "target_ref", "target_refs"),)

    selector: WorkloadSelector | None = None
    target_ref: PolicyTargetReference | None = None
    target_refs: tuple[PolicyTargetReference, ...] = ()
    jwt_rules: tuple[JWTRule, ...] = ()


class Source(Model):
    """Who asks. Fields hold together, the values of one are alternatives."""

    principals: tuple[str, ...] = ()
    not_principals: tuple[str, ...] = ()
    request_principals: tuple[str, ...] = ()
    not_request_principals: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    not_namespaces: tuple[str, ...] = ()
    service_accounts: Annotated[tuple[str, ...], Field(max_length=16)] = ()
    not_service_accounts: Annotated[tuple[str, ...], Field(max_length=16)] = ()
    trust_domains: tuple[str, ...] = ()
    not_trust_domains: tuple[str, ...] = ()
    ip_blocks: tuple[str, ...] = ()
    not_ip_blocks: tuple[str, ...] = ()
    remote_ip_blocks: tuple[str, ...] = ()
    not_remote_ip_blocks: tuple[str, ...] = ()


class Operation(Model):
    """What is asked for. Fields hold together, the values of one are alternatives."""

    hosts: tuple[str, ...] = ()
    not_hosts: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    not_ports: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    not_methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    not_paths: tuple[str, ...] = ()


class RuleFrom(Model):
    """One of the alternatives of `from`."""

    source: Source | None = None


class RuleTo(Model):
    """One of the alternatives of `to`."""

    operation: Operation | None = None


class Condition(Model):
    """An attribute and its values: one of `values`, none of `not_values`."""

    key: str
    values: tuple[str, ...] = ()
    not_values: tuple[str, ...] = ()


class AuthorizationRule(Model):
    """One of `from`, and one of `to`, and all of `when`. An empty rule matches everything."""

    from_: tuple[RuleFrom, ...] | None = None
    to: tuple[RuleTo, ...] | None = None
    when: tuple[Condition, ...] = ()


class AuthorizationAction(StrEnum):
    """What becomes of a request that a rule matches."""

    ALLOW = "ALLOW"
    DENY = "DENY"
    AUDIT = "AUDIT"
    CUSTOM = "CUSTOM"


class ExtensionProvider(Model):
    """An authorizer of the mesh config."""

    name: str = ""


class AuthorizationPolicy(Model):
    """Who may do what at the selected workloads."""

    one_of: ClassVar[tuple[tuple[str, ...], ...]] = (("selector", "target_ref", "target_refs"),)

    selector: WorkloadSelector | None = None
    target_ref: PolicyTargetReference | None = None
    target_refs: tuple[PolicyTargetReference, ...] = ()
    rules: tuple[AuthorizationRule, ...] | None = None
    """None is not the same as none: an ALLOW without rules allows nothing."""
    action: AuthorizationAction = AuthorizationAction.ALLOW
    provider: ExtensionProvider | None = None
