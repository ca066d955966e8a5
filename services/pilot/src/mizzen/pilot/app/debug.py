"""Pages for people and for `mizzen`: what Pilot knows, and what it told whom."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

from aiohttp import web
from google.protobuf import any_pb2
from google.protobuf.json_format import MessageToDict

from mizzen.api.dump import to_dict
from mizzen.api.problem import Problem
from mizzen.identity.callers.door import EVERYTHING, Door
from mizzen.pilot.app.mtlspage import mtls_page
from mizzen.pilot.app.switch import Switch
from mizzen.pilot.app.world import World
from mizzen.pilot.generate.api import generate
from mizzen.pilot.generate.encoded import Encoded
from mizzen.pilot.generate.failure import describe
from mizzen.pilot.generate.harvest import Generated
from mizzen.pilot.generate.typeurls import ORDER, SECRET, WILDCARD
from mizzen.pilot.snapshot.service import Endpoint, Service
from mizzen.pilot.xds.connections import Connection, Connections
from mizzen.pilot.xds.history import sync_status
from mizzen.pilot.xds.metrics import short_name
from mizzen.pilot.xds.workshop import Workshop
from mizzen.runtime.monitoring import Handler


class DebugPages:
    """The `/debug` pages; all are JSON."""

    def __init__(
        self,
        world: World,
        connections: Connections,
        switch: Switch,
        workshop: Workshop,
        push_all: Callable[[], int],
        clock: Callable[[], float],
    ) -> None:
        self._workshop = workshop
        self._world = world
        self._connections = connections
        self._switch = switch
        self._push_all = push_all
        self._clock = clock

    def routes(self, door: Door) -> dict[str, Handler]:
        """Handlers by path, behind a door."""
        pages = {
            "/debug/configz": self.configz,
            "/debug/registryz": self.registryz,
            "/debug/endpointz": self.endpointz,
            "/debug/syncz": self.syncz,
            "/debug/adsz": self.adsz,
            "/debug/drainz": self.drainz,
            "/debug/mtlsz": self.mtlsz,
        }
        return {**door.guard(pages), "/debug/config_dump": partial(self.config_dump, door)}

    async def configz(self, request: web.Request) -> web.Response:
        """Resources, whether the mesh is made of them yet (`current`), and what is wrong with them."""
        return await self._answer(self._configz)

    async def registryz(self, request: web.Request) -> web.Response:
        """Services, oldest first."""
        return await self._answer(lambda: [_service(service) for service in self._world.mesh.services])

    async def endpointz(self, request: web.Request) -> web.Response:
        """Endpoints by service."""
        return await self._answer(self._endpointz)

    async def syncz(self, request: web.Request) -> web.Response:
        """What every client was sent and whether it took it."""
        return await self._answer(partial(sync_status, tuple(self._connections), self._clock()))

    async def adsz(self, request: web.Request) -> web.Response:
        """Connections and what they watch; `?push=true` pushes to all of them."""
        pushed = self._push_all() if request.query.get("push") == "true" else 0
        connected = tuple(self._connections)
        return await self._answer(
            lambda: {
                "connected": len(connected),
                "pushed": pushed,
                "clients": [_client(connection) for connection in connected],
            }
        )

    async def drainz(self, request: web.Request) -> web.Response:
        """Whether anybody may still send requests to `?address=`.

        Nobody does when it is not `known` as an endpoint and no client is `behind` the mesh that says so.
        """
        address = request.query.get("address", "")
        if not address:
            return await self._answer(lambda: {"error": "?address=<IP> is missing"}, status=400)
        mesh = self._world.mesh
        behind = sorted(f"{late.proxy.name}.{late.proxy.namespace}" for late in self._connections.behind())
        return await self._answer(
            lambda: {"known": address in mesh.by_address, "version": mesh.version, "behind": behind}
        )

    async def config_dump(self, door: Door, request: web.Request) -> web.Response:
        """What one client is to have, generated from the current mesh; `?proxyID=` names it.

        Callers of another namespace see the clients of theirs.
        """
        visible = await door.visible(request)
        wanted = request.query.get("proxyID", "")
        connected: set[str] = set()
        for connection in self._connections:
            proxy = connection.proxy
            if visible not in (EVERYTHING, proxy.namespace):
                continue
            if wanted in (connection.id, proxy.id, proxy.name, f"{proxy.name}.{proxy.namespace}"):
                return await self._answer(partial(self._dump, connection))
            connected.add(f"{proxy.name}.{proxy.namespace}")
        reason = f"no client {wanted!r} is connected" if wanted else "?proxyID=<name>.<namespace> is missing"
        return await self._answer(
            lambda: {"error": reason, "connected": sorted(connected)}, status=404 if wanted else 400
        )

    async def mtlsz(self, request: web.Request) -> web.Response:
        """Mutual TLS at each port of each service: what is asked for, by what, and who is in its way."""
        mesh, waits = self._world.mesh, self._switch.waits()
        proxies = tuple(connection.proxy for connection in self._connections)
        return await self._answer(partial(mtls_page, mesh, proxies, waits))

    async def _answer(self, make: Callable[[], Any], status: int = 200) -> web.Response:
        """A page of what `make` gives in the workshop: large ones must not stop the event loop."""
        text = await self._workshop.run(lambda: json.dumps(make(), indent=2) + "\n")
        return web.Response(text=text, content_type="application/json", status=status)

    def _configz(self) -> Any:
        resources = self._world.contents().resources
        return {
            "version": self._world.mesh.version,
            "current": self._world.is_current(),
            "resources": [to_dict(resources[key]) for key in sorted(resources)],
            "problems": [_problem(problem) for problem in (*self._world.problems(), *self._switch.cut_off())],
        }

    def _endpointz(self) -> Any:
        endpoints = self._world.mesh.endpoints
        return [
            {
                "service": key.hostname,
                "namespace": key.namespace,
                "endpoints": [_endpoint(endpoint) for endpoint in endpoints[key]],
            }
            for key in sorted(endpoints)
        ]

    def _dump(self, connection: Connection) -> dict[str, Any]:
        mesh, watches = self._world.mesh, connection.session.watches
        dump: dict[str, Any] = {"proxy": connection.proxy.id, "version": mesh.version, "failures": {}}
        for type_url in ORDER:
            watch = watches.get(type_url)
            if watch is None:
                everything = type_url in WILDCARD
                names = None if everything else frozenset[str]()
            else:
                names = None if watch.wildcard else frozenset(watch.names)
            try:
                made = generate(type_url, connection.proxy, mesh, names)
            except Exception as error:  # noqa: BLE001 - the page is the place where it is told
                made = Generated(failures={"*": describe(error)})
            resources = {**made.resources, **made.substitutes}
            dump[short_name(type_url)] = [_decoded(resource) for resource in resources.values()]
            if made.failures:
                dump["failures"][short_name(type_url)] = made.failures
        return dump


def _problem(problem: Problem) -> dict[str, Any]:
    return {
        "resource": problem.resource,
        "path": problem.path,
        "message": problem.message,
        "severity": problem.severity,
        "source": asdict(problem.source) if problem.source else None,
    }


def _service(service: Service) -> dict[str, Any]:
    return {
        "hostname": service.hostname,
        "namespace": service.namespace,
        "addresses": list(service.addresses),
        "ports": [
            {
                "number": port.number,
                "name": port.name,
                "protocol": str(port.protocol),
                "targetPort": port.target_port or port.number,
            }
            for port in service.ports
        ],
        "resolution": str(service.resolution),
        "exportTo": sorted(service.export_to),
        "origin": service.origin,
    }


def _endpoint(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "address": endpoint.address,
        "port": endpoint.port,
        "servicePort": endpoint.service_port,
        "healthy": endpoint.healthy,
        "weight": endpoint.weight,
        "locality": endpoint.locality,
        "workload": endpoint.workload,
        "labels": dict(sorted(endpoint.labels)),
    }


def _client(connection: Connection) -> dict[str, Any]:
    return {
        "id": connection.id,
        "address": connection.address,
        "metadata": {
            "type": connection.proxy.type,
            "addresses": list(connection.proxy.addresses),
            "labels": dict(sorted(connection.proxy.labels)),
        },
        "watches": {
            short_name(type_url): sorted(watch.names) or ["*"] * watch.wildcard
            for type_url, watch in connection.session.watches.items()
        },
    }


def _decoded(resource: Encoded) -> Any:
    packed = any_pb2.Any.FromString(resource.body)
    if packed.type_url == SECRET:
        return {"name": resource.name, "@type": packed.type_url, "version": resource.version}  # and nothing of it
    try:
        return MessageToDict(packed)
    except TypeError as error:  # a nested type that this process has not loaded
        return {"name": resource.name, "@type": packed.type_url, "error": str(error)}
