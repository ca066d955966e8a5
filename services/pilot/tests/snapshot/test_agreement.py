"""Several Pilots switch mutual TLS together: none goes on before the proxies of all may."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from services.pilot.tests.snapshot.one_port import SERVICE, policy

from mizzen.api.parse import parse
from mizzen.api.security import MutualTLSMode
from mizzen.pilot.base.meshconfig import MeshConfig
from mizzen.pilot.base.registry import RegistrySnapshot
from mizzen.pilot.snapshot.agreement import (
    MAX_NAMED,
    NoReport,
    Others,
    Report,
    Unknown,
    configuration_of,
    report,
    resumed,
)
from mizzen.pilot.snapshot.build import build
from mizzen.pilot.snapshot.mesh import Mesh
from mizzen.pilot.snapshot.staging import Place, Step, Taken, advanced, settled, targets, waits_for

DISABLE, PERMISSIVE, STRICT = MODES = (MutualTLSMode.DISABLE, MutualTLSMode.PERMISSIVE, MutualTLSMode.STRICT)
MTLS = MeshConfig(enable_auto_mtls=True)
PLACE = Place("10.0.0.9", 80)


def made(*texts: str, previous: Mesh | None = None) -> Mesh:
    resources = [resource for text in texts for resource in parse(text).resources]
    return build(resources, RegistrySnapshot(), previous, "1", MTLS)


MESHES = {mode: made(SERVICE, policy(mode)) for mode in MODES}


def switching(begin: MutualTLSMode, end: MutualTLSMode) -> Mesh:
    return made(SERVICE, policy(end), previous=MESHES[begin])


def test_a_digest_is_of_what_decides() -> None:
    digests = {configuration_of(mesh) for mesh in MESHES.values()}
    assert len(digests) == 3
    strict = MESHES[STRICT]
    assert configuration_of(made(policy(STRICT))) == configuration_of(strict), "endpoints come and go"
    assert configuration_of(replace(strict, settings=MeshConfig())) not in digests


LATE_SERVER = Taken("db.shop", ("10.0.0.9", "::9"), speaks_tls=True, late_server="has not answered")
LATE_CLIENT = Taken("page.shop", ("10.0.0.8",), speaks_tls=True, late_client="has not answered")


def test_what_is_told_and_read() -> None:
    mesh = switching(DISABLE, STRICT)
    told = report(mesh, "x", [LATE_SERVER, LATE_CLIENT])
    assert told == Report("x", frozenset({"10.0.0.9:80"}), frozenset(), frozenset({"10.0.0.9", "::9"}), clients=True)
    assert Report.read(told.text()) == told
    many = {Place("10.0.0.9", port): Step(PERMISSIVE, offered=True) for port in range(MAX_NAMED + 1)}
    told = report(mesh.with_staging(many, "2"), "x", [])
    assert told == Report("x", frozenset(), None, frozenset(), clients=False)
    assert Report.read(told.text()) == told


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "{}", '{"configuration": "x", "plain": 7}', "null"])
def test_what_is_no_report_keeps_everybody_waiting(text: str) -> None:
    with pytest.raises(NoReport, match="not a report of a Pilot"):
        Report.read(text)
    others = Others("x", {"b": None})
    assert others.late_servers(PLACE) == others.late_clients(PLACE, True) == ("Pilot b says what cannot be understood",)


NOBODY: frozenset[str] = frozenset()
DONE = Report("x", NOBODY, NOBODY, NOBODY, clients=False)


@pytest.mark.parametrize(
    ("other", "servers", "clients"),
    [
        (DONE, "", ""),
        (replace(DONE, configuration="y"), *["has read other PeerAuthentications"] * 2),
        (replace(DONE, servers=frozenset({"10.0.0.9"})), "waits for the proxy", ""),
        (replace(DONE, servers=frozenset({"10.0.0.8"})), "", ""),
        (replace(DONE, servers=None), "waits for the proxy", ""),
        (replace(DONE, plain=frozenset({str(PLACE)})), "", "has not told its clients"),
        (replace(DONE, plain=None), "", "has not told its clients"),
        (replace(DONE, tls=frozenset({str(PLACE)})), "", ""),
        (replace(DONE, clients=True), "", "waits for its clients"),
    ],
)
def test_whom_a_port_waits_for(other: Report, servers: str, clients: str) -> None:
    others = Others("x", {"b": other, "c": DONE})
    assert others.late_servers(PLACE) == ((f"Pilot b {servers}",) if servers else ())
    assert others.late_clients(PLACE, True) == ((f"Pilot b {clients}",) if clients else ())

    mesh = switching(DISABLE, STRICT)
    assert waits_for(mesh, [], others) == {PLACE: others.late_servers(PLACE)}
    steps = advanced(mesh, [], lambda _: False, others)
    assert steps == {PLACE: Step(PERMISSIVE, offered=not servers)}
    told = mesh.with_staging({PLACE: Step(PERMISSIVE, offered=True)}, "2")
    assert waits_for(told, [], others) == {PLACE: others.late_clients(PLACE, True)}
    assert bool(advanced(told, [], lambda _: False, others)) is bool(clients)
    assert not advanced(told, [], lambda _: True, others), "STRICT is not held up for ever"


def test_where_nothing_is_known_nobody_goes_on() -> None:
    mesh = switching(DISABLE, STRICT)
    unknown = Unknown("it is early")
    assert waits_for(mesh, [], unknown) == {PLACE: ("it is early",)}
    assert advanced(mesh, [], lambda _: False, unknown) == mesh.staging
    told = mesh.with_staging({PLACE: Step(PERMISSIVE, offered=True)}, "2")
    assert advanced(told, [], lambda _: False, unknown) == told.staging


@pytest.mark.parametrize("offered", [False, True])
def test_a_pilot_that_starts_goes_on_where_it_was(offered: bool) -> None:
    mesh = MESHES[STRICT]
    digest, step = configuration_of(mesh), Step(PERMISSIVE, offered)
    before = report(mesh.with_staging({PLACE: step, Place("10.9.9.9", 1): step}, "1"), digest, [])
    assert resumed(mesh, digest, [DONE, before]) == {PLACE: step}
    assert resumed(mesh, digest, [replace(before, configuration="older")]) == {}
    settled_now = MESHES[PERMISSIVE]
    assert resumed(settled_now, digest, [before]) == ({} if offered else {PLACE: step})


class Pilot:
    """One, with a server of the port or a client of it, that takes what it is sent when it likes."""

    def __init__(self, name: str, mesh: Mesh) -> None:
        self.name = name
        self.mesh = mesh
        self.told: dict[str, Report] = {}
        """What the others have said last, as far as it has arrived."""
        [target] = targets(mesh).values()
        self.serves, self.speaks = settled(target)

    @property
    def step(self) -> Step:
        [target] = targets(self.mesh).values()
        return self.mesh.staging.get(PLACE) or settled(target)

    @property
    def proxies(self) -> list[Taken]:
        late = "has not answered"
        server = late if self.serves is not self.step.serves else ""
        client = late if self.speaks != self.step.offered else ""
        return [
            Taken("db", ("10.0.0.9",), speaks_tls=False, late_server=server),
            Taken("page", ("10.0.0.8",), speaks_tls=True, late_client=client),
        ]

    def report(self) -> Report:
        return Report.read(report(self.mesh, configuration_of(self.mesh), self.proxies).text())

    def look(self) -> None:
        steps = advanced(self.mesh, self.proxies, lambda _: False, Others(configuration_of(self.mesh), self.told))
        if steps != self.mesh.staging:
            self.mesh = self.mesh.with_staging(steps, "next")


@settings(max_examples=300, deadline=None)
@given(
    ends=st.tuples(st.sampled_from(MODES), st.sampled_from(MODES)),
    events=st.lists(
        st.tuples(st.sampled_from(["read", "server", "client", "look", "tell"]), st.integers(0, 1)),
        min_size=20,
        max_size=80,
    ),
)
def test_no_client_of_any_pilot_speaks_what_a_server_of_another_refuses(
    ends: tuple[MutualTLSMode, MutualTLSMode], events: list[tuple[str, int]]
) -> None:
    """They read the new policy, and hear of each other, at any time."""
    begin, end = (MESHES[mode] for mode in ends)
    pilots = [Pilot(name, begin) for name in "ab"]
    for each, other in (pilots, pilots[::-1]):
        each.told[other.name] = other.report()
    after = switching(*ends) if begin is not end else begin

    def happens(event: str, pilot: Pilot, other: Pilot) -> None:
        if event == "read" and pilot.mesh is begin:
            pilot.mesh = after
        elif event == "server":
            pilot.serves = pilot.step.serves
        elif event == "client":
            pilot.speaks = pilot.step.offered
        elif event == "look":
            pilot.look()
        elif event == "tell":
            other.told[pilot.name] = pilot.report()
        for server in pilots:
            for client in pilots:
                both = server.serves is PERMISSIVE
                assert both or (server.serves is STRICT) == client.speaks, (server.name, client.name)

    for event, number in events:
        happens(event, pilots[number], pilots[1 - number])
    for _ in range(5):
        for event in ("read", "server", "client", "look", "server", "client", "tell"):
            happens(event, pilots[0], pilots[1])
            happens(event, pilots[1], pilots[0])
    assert [(each.mesh.staging, each.step) for each in pilots] == [({}, settled(ends[1]))] * 2
