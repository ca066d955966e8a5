"""What workers say of byte streams, as attributes. Source: istio/proxy, src/istio/control/tcp at 1.0.9."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

from mizzen.attributes.values import Value
from mizzen.proxy.app.mixer.attributes import add_check, add_identities, endpoint_attributes, ip, stated
from mizzen.proxy.engine.control import ConnectionFacts, ConnectionRecord
from mizzen.proxy.engine.mixer_plan import MixerContext


class ConnectionAttributes:
    """Names connections apart from those of all other proxies."""

    def __init__(self) -> None:
        self._prefix = str(uuid.uuid4())

    def begun(self, context: MixerContext, connection: ConnectionFacts) -> dict[str, Value]:
        """What a check may depend on."""
        started, client, number, identities = connection
        attributes = dict(stated(context.attributes))
        attributes["context.protocol"] = "tcp"
        attributes["context.time"] = datetime.fromtimestamp(started, UTC)
        attributes["connection.id"] = f"{self._prefix}-{number}"
        add_identities(attributes, identities)
        peer = ip(client)
        if peer is not None:
            attributes["origin.ip"] = peer
            attributes.setdefault("source.ip", peer)
        return attributes

    def reported(self, context: MixerContext, record: ConnectionRecord) -> dict[str, Value]:
        """What is known of a connection now."""
        _, connection, event, amounts, duration, flags, endpoint, check = record
        attributes = self.begun(context, connection)
        attributes["context.time"] = datetime.fromtimestamp(connection[0] + duration, UTC)
        attributes["connection.event"] = event
        received, sent, total_received, total_sent = amounts
        attributes["connection.received.bytes"], attributes["connection.sent.bytes"] = received, sent
        attributes["connection.received.bytes_total"] = total_received
        attributes["connection.sent.bytes_total"] = total_sent
        if endpoint:
            for name, value in endpoint_attributes(endpoint):
                attributes.setdefault(name, value)
        if event == "close":
            attributes["connection.duration"] = timedelta(seconds=duration)
            attributes["context.proxy_error_code"] = flags or "-"
            add_check(attributes, check)
        return attributes
