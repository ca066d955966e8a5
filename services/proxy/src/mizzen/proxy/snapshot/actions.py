"""What a Route does with a request: RouteAction, RedirectAction and DirectResponseAction to the engine's actions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mizzen.proxy.engine.plan import Action, Forward, Redirect, Respond, WeightedCluster
from mizzen.proxy.snapshot.matchers import check_regex
from mizzen.proxy.snapshot.mixer import own_service
from mizzen.proxy.snapshot.result import Invalid, Notes, at
from mizzen.proxy.snapshot.values import header_edits, one_line, one_word, seconds, wrapped

_ROUTE_TIMEOUT = 15.0
"""Envoy's default of RouteAction.timeout, seconds."""
_REDIRECT_CODES = (301, 302, 303, 307, 308)
"""By the numbers of RedirectAction.RedirectResponseCode."""

_FORWARD = (
    "cluster",
    "weighted_clusters",
    "cluster_not_found_response_code",
    "prefix_rewrite",
    "regex_rewrite",
    "host_rewrite_literal",
    "timeout",
    "retry_policy",
    "max_stream_duration",
    # Without meaning here: gRPC deadlines (no HTTP/2 yet), priorities (no circuit breakers), hashes for balancers that
    # the cluster's own report names, 0-RTT data.
    "max_grpc_timeout",
    "priority",
    "hash_policy",
    "early_data_policy",
)
_CLUSTER_WEIGHT = (
    "name",
    "weight",
    "host_rewrite_literal",
    "request_headers_to_add",
    "request_headers_to_remove",
    "response_headers_to_add",
    "response_headers_to_remove",
    "typed_per_filter_config",
)
_REDIRECT = (
    "https_redirect",
    "scheme_redirect",
    "host_redirect",
    "port_redirect",
    "path_redirect",
    "prefix_rewrite",
    "response_code",
    "strip_query",
)
_RETRY = (
    "retry_on",
    "num_retries",
    "retriable_status_codes",  # only with retriable-status-codes, which is reported itself
    "retry_back_off",  # another endpoint is tried at once
    "retry_host_predicate",  # it is always another endpoint when there is one
    "host_selection_retry_max_attempts",
)
_CONNECT_RETRIES = frozenset({"connect-failure", "5xx", "gateway-error", "reset", "reset-before-request"})
"""Conditions that include a failed connection, which is what this proxy retries."""
_MET = frozenset({"connect-failure", "reset-before-request"})
"""Conditions that this proxy retries whole."""
_CANNOT_HAPPEN = frozenset(
    {"refused-stream", "cancelled", "unavailable", "deadline-exceeded", "internal", "resource-exhausted"}
)
"""HTTP/2's and gRPC's conditions: not without HTTP/2 upstream."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that a RouteConfiguration sets for its routes."""

    response_body: int
    """Bytes of a direct response."""


def action(route: Any, retry: Any | None, limits: Limits, notes: Notes, origin: str) -> Action:
    """The action of a Route; `retry` is its virtual host's RetryPolicy. Raises Invalid."""
    kind = route.WhichOneof("action")
    if kind == "route":
        with at("route"):
            return _forward(route.route, retry, notes, origin)
    if kind == "redirect":
        with at("redirect"):
            return _redirect(route.redirect, notes, origin)
    if kind == "direct_response":
        with at("direct_response"):
            return _respond(route.direct_response, limits, notes, origin)
    raise Invalid(kind or "", "needs one of route, redirect, direct_response")


def _forward(message: Any, retry: Any | None, notes: Notes, origin: str) -> Forward:
    notes.check(message, _FORWARD, origin)
    if message.cluster_not_found_response_code != 0:  # 0 is SERVICE_UNAVAILABLE
        notes.add(f"{message.DESCRIPTOR.full_name}.cluster_not_found_response_code", origin)
    if seconds(message.max_stream_duration, "max_stream_duration", 0.0):
        notes.add(f"{message.DESCRIPTOR.full_name}.max_stream_duration", origin)
    if message.prefix_rewrite and message.HasField("regex_rewrite"):
        raise Invalid("regex_rewrite", "excludes prefix_rewrite")
    policy = message.retry_policy if message.HasField("retry_policy") else retry
    return Forward(
        clusters=_clusters(message, notes, origin),
        timeout=seconds(message, "timeout", _ROUTE_TIMEOUT),
        prefix_rewrite=one_word(message, "prefix_rewrite"),
        regex_rewrite=_regex_rewrite(message),
        host_rewrite=one_word(message, "host_rewrite_literal"),
        retry_connect_failures=0 if policy is None else _retries(policy, notes, origin),
    )


def _clusters(message: Any, notes: Notes, origin: str) -> tuple[WeightedCluster, ...]:
    kind = message.WhichOneof("cluster_specifier")
    if kind == "cluster":
        return (WeightedCluster(message.cluster),)
    if kind != "weighted_clusters":
        raise Invalid(kind or "cluster", "only cluster and weighted_clusters are supported")
    weighted = message.weighted_clusters
    notes.check(weighted, ("clusters", "total_weight", "runtime_key_prefix"), origin)
    clusters = []
    for index, item in enumerate(weighted.clusters):
        with at(f"weighted_clusters.clusters[{index}]"):
            clusters.append(_weighted_cluster(item, notes, origin))
    if not sum(cluster.weight for cluster in clusters):
        raise Invalid("weighted_clusters", "the weights add up to 0")
    return tuple(clusters)


def _weighted_cluster(item: Any, notes: Notes, origin: str) -> WeightedCluster:
    if not item.name:
        raise Invalid("name", "is missing (cluster_header is not supported)")
    notes.check(item, _CLUSTER_WEIGHT, origin)
    return WeightedCluster(
        cluster=item.name,
        weight=item.weight.value,
        request_edits=header_edits(item, "request", notes, origin),
        response_edits=header_edits(item, "response", notes, origin),
        host_rewrite=one_word(item, "host_rewrite_literal"),
        mixer=own_service(item, notes, origin),
    )


def _regex_rewrite(message: Any) -> tuple[str, str] | None:
    if not message.HasField("regex_rewrite"):
        return None
    with at("regex_rewrite.pattern.regex"):
        pattern = check_regex(message.regex_rewrite.pattern.regex)
    with at("regex_rewrite"):
        return pattern, one_word(message.regex_rewrite, "substitution")


def _retries(policy: Any, notes: Notes, origin: str) -> int:
    """How many failed connections are retried; reports the conditions beyond that."""
    conditions = {word.strip() for word in policy.retry_on.split(",") if word.strip()}
    if "retriable-status-codes" in conditions and not policy.retriable_status_codes:
        conditions.discard("retriable-status-codes")  # an empty list names no status
    if not conditions:
        return 0
    notes.check(policy, _RETRY, origin)
    if not conditions <= _MET | _CANNOT_HAPPEN:
        notes.add(f"{policy.DESCRIPTOR.full_name}.retry_on", origin)
    return wrapped(policy, "num_retries", 1) if conditions & _CONNECT_RETRIES else 0


def _redirect(message: Any, notes: Notes, origin: str) -> Redirect:
    if message.HasField("regex_rewrite"):
        raise Invalid("regex_rewrite", "is not supported in redirects")
    notes.check(message, _REDIRECT, origin)
    if message.response_code >= len(_REDIRECT_CODES):
        raise Invalid("response_code", f"unknown value {message.response_code}")
    return Redirect(
        code=_REDIRECT_CODES[message.response_code],
        scheme=one_line(message, "scheme_redirect"),
        host=one_line(message, "host_redirect"),
        port=message.port_redirect,
        path=one_line(message, "path_redirect"),
        prefix=one_line(message, "prefix_rewrite"),
        https=message.https_redirect,
        strip_query=message.strip_query,
    )


def _respond(message: Any, limits: Limits, notes: Notes, origin: str) -> Respond:
    notes.check(message, ("status", "body"), origin)
    if not 200 <= message.status < 600:
        raise Invalid("status", f"{message.status} is not between 200 and 599")
    kind = message.body.WhichOneof("specifier")
    if kind not in (None, "inline_string", "inline_bytes"):
        raise Invalid(f"body.{kind}", "only inline_string and inline_bytes are supported")
    body = message.body.inline_bytes or message.body.inline_string.encode()
    if len(body) > limits.response_body:
        raise Invalid(
            "body", f"{len(body)} bytes are more than max_direct_response_body_size_bytes {limits.response_body}"
        )
    return Respond(message.status, body)
