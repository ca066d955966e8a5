"""What a worker tells the agent of finished requests, and the Pods that Mixer knows."""

from __future__ import annotations

import random
from base64 import b64encode
from collections.abc import Iterable
from typing import Any

import yaml

from mizzen.pilot.generate.mixer.attributes import Attributes, message
from mizzen.proxy.codec.headers import block, line
from mizzen.proxy.engine.control import ReportRecord, Reports, RequestFacts, ResponseFacts
from mizzen.proxy.engine.mixer_plan import MixerContext, TransportPlan

WORKER_BATCH = 200
PODS = {"productpage-v1": "10.0.0.1", "reviews-v3": "10.0.0.5", "ratings-v1": "10.0.0.6"}
INBOUND = ("reviews", "productpage-v1", "reviews-v3")
OUTBOUND = ("ratings", "reviews-v3", "ratings-v1")
"""Service, client and server of a request."""


def pods() -> str:
    """The registry of a mesh of three workloads."""
    return yaml.safe_dump_all([_pod(name, address) for name, address in PODS.items()])


def told_by_reviews(requests: int) -> list[Reports]:
    """What the worker beside reviews says: half of its requests came from productpage, half went to ratings.

    Each has an id and times of its own; one in a hundred fails.
    """
    chance = random.Random(1)
    uid = _uid("reviews-v3")
    inbound: Attributes = (("destination.uid", uid), ("destination.namespace", "default"), ("destination.port", 9080))
    inbound += (("context.reporter.uid", uid), ("context.reporter.kind", "inbound"))
    outbound: Attributes = (("source.uid", uid), ("source.namespace", "default"))
    outbound += (("context.reporter.uid", uid), ("context.reporter.kind", "outbound"))
    contexts = (_context(*inbound, *_service("reviews")), _context(*outbound, *_service("ratings")))
    records = [_record(number, chance) for number in range(requests)]
    batches = range(0, requests, WORKER_BATCH)
    return [Reports(contexts, tuple(records[start : start + WORKER_BATCH])) for start in batches]


def _record(number: int, chance: random.Random) -> ReportRecord:
    is_inbound = number % 2 == 0
    began, duration = 1.7e9 + number / 10_000, chance.expovariate(200)
    service, client, server = INBOUND if is_inbound else OUTBOUND
    head = _head(
        ("host", f"{service}:9080"),
        ("user-agent", "python-requests/2.31"),
        ("accept", "*/*"),
        ("accept-encoding", "gzip, deflate"),
        ("cookie", "session=abc"),
        ("end-user", "jason"),
        ("x-forwarded-proto", "http"),
        ("x-request-id", f"{chance.getrandbits(128):032x}"),
    )
    path, authority = f"/{service}/0".encode(), f"{service}:9080".encode()
    forwarded = _FORWARDED if is_inbound else b""
    request: RequestFacts = (began, b"GET", path, authority, b"http", head, forwarded, PODS[client].encode())
    status, flags = (503, "UF") if number % 100 == 0 else (200, "")
    answer = _head(
        ("server", "istio-envoy"),
        ("date", "Mon, 23 Nov 2026 02:01:21 GMT"),
        ("content-type", "application/json"),
        ("content-length", "295"),
        ("x-envoy-upstream-service-time", str(int(duration * 1000))),
    )
    response: ResponseFacts = (status, answer, b"", 0, 295, began + duration, duration, flags, f"{PODS[server]}:9080")
    return (0 if is_inbound else 1, request, response, (0, "", True, False))


def _head(*lines: tuple[str, str]) -> bytes:
    return block({name.encode(): line(name.encode(), value.encode()) for name, value in lines})


def _context(*stated: Any) -> MixerContext:
    return MixerContext(TransportPlan(), _said(stated), check=True, report=True, trusts_peer=True)


def _said(stated: Iterable[Any]) -> bytes:
    data: bytes = message(stated).SerializeToString()
    return data


def _uid(workload: str) -> str:
    return f"kubernetes://{workload}-1.default"


def _service(name: str) -> Attributes:
    host = f"{name}.default.svc.cluster.local"
    return (
        ("destination.service", host),
        ("destination.service.host", host),
        ("destination.service.name", name),
        ("destination.service.namespace", "default"),
        ("destination.service.uid", f"istio://default/services/{name}"),
    )


_PRODUCTPAGE = (("source.uid", _uid("productpage-v1")), ("source.namespace", "default"))
_FORWARDED = b64encode(_said((*_PRODUCTPAGE, *_service("reviews"))))


def _pod(workload: str, address: str) -> dict[str, Any]:
    app, _, version = workload.partition("-")
    labels = {"app": app, "version": version}
    container = {"name": app, "image": app, "ports": [{"containerPort": 9080}]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{workload}-1", "namespace": "default", "labels": labels},
        "spec": {"containers": [container]},
        "status": {"phase": "Running", "podIP": address},
    }
