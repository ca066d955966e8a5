"""What the servers count, under the names of go-grpc-prometheus, which Istio's Mixer uses."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from mizzen.mixer.status import Code


class ServerMetrics:
    """The numbers of all methods."""

    def __init__(self, registry: CollectorRegistry) -> None:
        method = ["grpc_type", "grpc_service", "grpc_method"]
        self.started = Counter("grpc_server_started", "Calls that began.", method, registry=registry)
        self.handled = Counter(
            "grpc_server_handled", "Calls that ended, by their code.", [*method, "grpc_code"], registry=registry
        )
        self.received = Counter("grpc_server_msg_received", "Messages received.", method, registry=registry)
        self.sent = Counter("grpc_server_msg_sent", "Messages sent.", method, registry=registry)
        self.seconds = Histogram(
            "grpc_server_handling_seconds",
            "How long calls took.",
            method,
            buckets=(0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=registry,
        )
        # A counter; prometheus_client's Counter would add a _total that Istio's name does not have.
        self.throttled = Gauge(
            "mixer_loadshedding_requests_throttled",
            "Requests that were refused because there was too much to do.",
            registry=registry,
        )
        self.running = Gauge("mizzen_mixer_requests_running", "Calls under way.", registry=registry)
        self.log_entries = Counter(
            "mizzen_mixer_access_log_entries",
            "Entries of Envoy's access logs; outcome is reported, failed, shed, skipped or refused.",
            ["outcome"],
            registry=registry,
        )
        self.impostors = Counter(
            "mizzen_mixer_impostors",
            "Checks and entries of reports that were refused because their sender's certificate is another proxy's.",
            registry=registry,
        )


class MethodMetrics:
    """The numbers of one method, looked up once."""

    __slots__ = ("_by_code", "_handled", "_labels", "received", "seconds", "sent", "started")

    def __init__(self, metrics: ServerMetrics, service: str, method: str, kind: str = "unary") -> None:
        labels = self._labels = (kind, service, method)
        self.started = metrics.started.labels(*labels)
        self.received = metrics.received.labels(*labels)
        self.sent = metrics.sent.labels(*labels)
        self.seconds = metrics.seconds.labels(*labels)
        self._handled = metrics.handled
        self._by_code: dict[Code, Counter] = {}

    def handled(self, code: Code) -> None:
        """A call ended."""
        counter = self._by_code.get(code)
        if counter is None:
            counter = self._by_code[code] = self._handled.labels(*self._labels, _go_name(code))
        counter.inc()


def _go_name(code: Code) -> str:
    """`PermissionDenied`; a cancelled call is `Canceled` there."""
    if code is Code.OK:
        return "OK"
    return "Canceled" if code is Code.CANCELLED else code.name.replace("_", " ").title().replace(" ", "")
