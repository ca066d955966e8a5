"""From changed keys to a mesh, a difference, and the pushes it needs."""

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from mizzen.api.parse import parse
from mizzen.api.resource import Resource, ResourceKey
from mizzen.api.store.folder import Folder
from mizzen.pilot.app import world as world_module
from mizzen.pilot.app.meshconfig import MeshConfigSource
from mizzen.pilot.app.metrics import MeshMetrics
from mizzen.pilot.app.pilot import Pilot
from mizzen.pilot.app.settings import Settings
from mizzen.pilot.app.world import MESH_CONFIG, World
from mizzen.pilot.base.meshconfig import MeshConfig
from mizzen.pilot.ingest.config.memory import MemoryStore
from mizzen.pilot.snapshot.service import ServiceKey
from mizzen.runtime.address import Address
from mizzen.runtime.errors import StartError

REVIEWS = ServiceKey("reviews.default.svc.cluster.local", "default")
SERVICE = (Path(__file__).parent / "service.yaml").read_text().replace("NAME", "reviews")
SLICE = (Path(__file__).parent / "slice.yaml").read_text()
ROUTE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec: {hosts: [reviews], http: [{route: [{destination: {host: reviews}}]}]}
"""
DENY = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: deny}
spec: {action: DENY, rules: [{}]}
"""


ROLES = """
apiVersion: rbac.istio.io/v1alpha1
kind: ClusterRbacConfig
metadata: {name: default}
spec: {mode: ON}
"""
MESH_POLICY = """
apiVersion: authentication.istio.io/v1alpha1
kind: MeshPolicy
metadata: {name: default}
spec: {peers: [{mtls: {}}]}
"""


def one(text: str) -> Resource:
    [resource] = parse(text).resources
    return resource


def addresses(world: World) -> list[str]:
    return [endpoint.address for endpoint in world.mesh.endpoints[REVIEWS]]


class Setting:
    """A world over one memory store."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.store = MemoryStore(one(SERVICE), one(SLICE.replace("ADDRESS", "10.0.0.1")))
        self.config = MeshConfigSource(None)
        seconds = itertools.count(1_700_000_000)
        self.world = World([self.store], self.config, MeshMetrics(self.registry), lambda: next(seconds))
        self.first = self.world.rebuild(())

    def put(self, text: str) -> Any:
        resource = one(text)
        self.store.put(resource)
        return self.world.rebuild({resource.key})


@pytest.fixture
def setting() -> Setting:
    return Setting()


def test_the_first_build_has_everything(setting: Setting) -> None:
    assert setting.first.services == {REVIEWS}
    assert setting.world.mesh.version == "2023-11-14T22:13:20Z/1"
    assert addresses(setting.world) == ["10.0.0.1"]
    assert setting.registry.get_sample_value("pilot_services") == 1


def test_a_change_of_endpoints_alone_takes_the_fast_path(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world_module, "build", None)
    before = setting.world.mesh
    change = setting.put(SLICE.replace("ADDRESS", "10.0.0.2"))
    assert (change.endpoints, change.services, change.config) == ({REVIEWS}, frozenset(), frozenset())
    assert addresses(setting.world) == ["10.0.0.2"]
    assert setting.world.mesh.services is before.services
    assert setting.world.mesh.version != before.version


def test_config_is_built_and_counted(setting: Setting) -> None:
    change = setting.put(ROUTE)
    assert change.config == {ResourceKey("VirtualService", "default", "reviews")}
    assert setting.registry.get_sample_value("pilot_virt_services") == 1


def test_the_mesh_is_current_when_it_is_made_of_what_the_stores_hold(setting: Setting) -> None:
    assert setting.world.is_current()
    setting.store.put(one(ROUTE))
    assert not setting.world.is_current()
    setting.world.rebuild({one(ROUTE).key})
    assert setting.world.is_current()


def test_nothing_new_is_no_change(setting: Setting) -> None:
    assert not setting.world.rebuild({ResourceKey("VirtualService", "default", "reviews")})


def test_new_settings_are_a_change(setting: Setting) -> None:
    setting.config.settings = MeshConfig(connect_timeout=1)
    assert setting.world.rebuild({MESH_CONFIG}).settings


def test_a_failed_build_keeps_the_mesh_and_the_next_one_catches_up(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = setting.world.mesh
    with monkeypatch.context() as patch:
        patch.setattr(world_module, "build", lambda *_: SimpleNamespace())
        assert not setting.put(ROUTE)
    assert setting.world.mesh is before
    assert setting.registry.get_sample_value("pilot_build_errors_total") == 1
    change = setting.put(SLICE.replace("ADDRESS", "10.0.0.2"))
    assert change.config == {ResourceKey("VirtualService", "default", "reviews")}
    assert change.endpoints == {REVIEWS}


async def test_without_a_first_mesh_nothing_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty one would take away what proxies hold, their policies among it."""
    monkeypatch.setattr(world_module, "build", lambda *_: SimpleNamespace())
    anywhere = Address("127.0.0.1", 0)
    pilot = Pilot(Settings(anywhere, anywhere, tmp_path, tmp_path), stores=())
    try:
        with pytest.raises(StartError, match="the first mesh cannot be built"):
            await pilot.start()
        with pytest.raises(RuntimeError, match="was not started"):
            _ = pilot.server.address
    finally:
        await pilot.close()


def test_a_policy_that_cannot_be_read_is_told_of_aloud_and_once(
    setting: Setting, caplog: pytest.LogCaptureFixture
) -> None:
    folder, registry = Folder(), CollectorRegistry()
    broken = DENY.replace("rules", "rule")
    store = SimpleNamespace(contents=folder.apply({"deny.yaml": broken}))
    world = World([store], setting.config, MeshMetrics(registry), lambda: 0.0)
    world.begin()
    world.rebuild({MESH_CONFIG})
    aloud = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(aloud) == 1
    assert "AuthorizationPolicy default/deny: is not in force, and no earlier version of it is known" in aloud[0]
    assert registry.get_sample_value("pilot_config_problems") == len(world.problems()) == 2

    store.contents = folder.apply({"deny.yaml": DENY})
    assert not world.problems()
    store.contents = folder.apply({"deny.yaml": broken})
    assert "is not in force" not in "".join(map(str, world.problems()))


@pytest.mark.parametrize("text", [ROLES, MESH_POLICY, ROUTE, DENY])
def test_policies_of_every_age_reach_the_mesh(setting: Setting, text: str) -> None:
    """Roles and policies of Istio 1.0 were read, warned of, and left where they were."""
    resource = one(text)
    assert setting.put(text).config == {resource.key}
    assert resource.key in setting.world.mesh.resources
