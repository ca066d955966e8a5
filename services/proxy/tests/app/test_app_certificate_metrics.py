"""What becomes of the workload's certificate is in the metrics."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tls_authority import TestAuthority

from mizzen.identity.credentials import Credentials
from mizzen.identity.keeping.keeper import CertificateKeeper, KeeperStats
from mizzen.identity.keys import key_from_pem
from mizzen.identity.spiffe import SpiffeId
from mizzen.proxy.app.prometheus import exposition
from mizzen.proxy.app.server_stats import identity_stats
from mizzen.proxy.app.stats_page import Selection

NOBODY: Any = None
"""Who signs, and who hears of it: nothing is asked for here."""


def test_metrics_tell_when_the_certificate_ends() -> None:
    authority = TestAuthority()
    secret = authority.secret("reviews", ends=timedelta(hours=2))
    keeper = CertificateKeeper(SpiffeId("cluster.local", "default", "reviews"), NOBODY, NOBODY, lambda: 0.5)
    keeper.current = Credentials.received(key_from_pem(secret.key), [secret.chain, authority.roots().roots])
    keeper.stats = KeeperStats(renewals=2, failures=2)
    ends = keeper.current.ends.timestamp()
    text = exposition(identity_stats(keeper, ends - 7200), Selection())
    assert 'istio_agent_cert_expiry_seconds{resource_name="default"} 7200\n' in text
    assert 'istio_agent_cert_expiry_seconds{resource_name="ROOTCA"} ' in text
    assert 'istio_agent_num_outgoing_requests{request_type="csr"} 4\n' in text
    assert 'istio_agent_num_failed_outgoing_requests{request_type="csr"} 2\n' in text
    over = exposition(identity_stats(keeper, ends + 1), Selection())
    assert 'istio_agent_cert_expiry_seconds{resource_name="default"} -1\n' in over
