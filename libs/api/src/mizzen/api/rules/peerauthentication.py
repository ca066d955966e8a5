"""PeerAuthentication: ports need a selector."""

from collections.abc import Iterator

from mizzen.api.resource import Metadata
from mizzen.api.rules import Finding, error
from mizzen.api.rules.policy import check_scope
from mizzen.api.security import PeerAuthentication


def check(spec: PeerAuthentication, _metadata: Metadata) -> Iterator[Finding]:
    """All rules of a PeerAuthentication."""
    yield from check_scope(spec.selector, (), "")
    if spec.port_level_mtls is None:
        return
    if not spec.port_level_mtls:
        yield error(("portLevelMtls",), "has no ports; leave it out")
    if spec.selector is None or not spec.selector.match_labels:
        yield error(("portLevelMtls",), "needs a selector with labels: ports are those of workloads")
    for port in spec.port_level_mtls:
        if not 1 <= port <= 65535:
            yield error(("portLevelMtls", str(port)), f"must be a port from 1 to 65535, got {port}")
