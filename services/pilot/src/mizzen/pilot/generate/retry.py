"""Retries."""

from __future__ import annotations

from typing import Any

from envoy.config.route.v3 import route_components_pb2 as route_pb2
from envoy.extensions.retry.host.previous_hosts.v3 import previous_hosts_pb2
from envoy.extensions.retry.priority.previous_priorities.v3 import previous_priorities_config_pb2

from mizzen.api.virtualservice import HTTPRetry
from mizzen.pilot.generate.protos import duration, pack, uint32

DEFAULT_CONDITIONS = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
DEFAULT_ATTEMPTS = 2


def retry_policy(retries: HTTPRetry | None, *, hashed: bool = False) -> Any | None:
    """The policy of a route; None when it must not retry. `hashed`: the endpoint follows from the request's key."""
    if retries is None:
        return _policy(DEFAULT_CONDITIONS, DEFAULT_ATTEMPTS, reselect=not hashed)
    if retries.attempts == 0:
        return None
    ignore_previous = retries.retry_ignore_previous_hosts
    reselect = not hashed if ignore_previous is None else ignore_previous
    message = _policy(retries.retry_on or DEFAULT_CONDITIONS, retries.attempts, reselect=reselect)
    if retries.per_try_timeout is not None:
        message.per_try_timeout.CopyFrom(duration(retries.per_try_timeout))
    if retries.backoff is not None:
        message.retry_back_off.base_interval.CopyFrom(duration(retries.backoff))
        message.retry_back_off.max_interval.CopyFrom(duration(retries.backoff * 10))
    if retries.retry_remote_localities:
        priorities = previous_priorities_config_pb2.PreviousPrioritiesConfig(update_frequency=2)
        message.retry_priority.name = "envoy.retry_priorities.previous_priorities"
        message.retry_priority.typed_config.CopyFrom(pack(priorities))
    return message


def _policy(conditions: str, attempts: int, *, reselect: bool) -> Any:
    """Numbers among the conditions are status codes, which Envoy keeps apart."""
    tokens = [token.strip() for token in conditions.split(",") if token.strip()]
    codes = [int(token) for token in tokens if token.isdecimal()]
    message = route_pb2.RetryPolicy(
        retry_on=",".join(token for token in tokens if not token.isdecimal()),
        retriable_status_codes=codes,
        num_retries=uint32(attempts),
    )
    if codes and "retriable-status-codes" not in tokens:
        message.retry_on = ",".join(filter(None, (message.retry_on, "retriable-status-codes")))
    if reselect:
        message.host_selection_retry_max_attempts = 5
        message.retry_host_predicate.add(
            name="envoy.retry_host_predicates.previous_hosts",
            typed_config=pack(previous_hosts_pb2.PreviousHostsPredicate()),
        )
    return message
