"""A mesh, driven the way a user drives it: by the command line and through the gateway."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

GATEWAY = ("127.0.0.1", 8080)
GATEWAY_TLS = ("127.0.0.1", 8443)
VISITOR_SECONDS = 20
"""More than a page takes that waits for an absent Mixer at one service after the other, 5 s each."""
REVIEWS = "/api/v1/products/0/reviews"
"""Productpage answers it with what one version of reviews says, and with its status."""
NETWORKING = Path(__file__).parents[2] / "demo" / "bookinfo" / "networking"


@dataclass(frozen=True)
class Answer:
    """One response; header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as a value; raises AssertionError with the whole answer where it is none."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise AssertionError(self) from error


@dataclass(frozen=True)
class Finished:
    """A command that ended."""

    status: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


@dataclass(frozen=True)
class Folders:
    """Folders as the test sees them, and as Mixer does."""

    code: Path
    code_in_mixer: str
    output_in_mixer: str
    read: Callable[[str], str]
    """The text of a file that an adapter wrote; empty when there is none."""


class Mesh(ABC):
    """The mesh of one home folder; what differs between runtimes is abstract here."""

    runtime: ClassVar[str]
    proxies: ClassVar[int]
    """How many there are: one a workload, and the gateways."""
    command_seconds: ClassVar[float] = 90
    """More than `mizzen up` takes to give up by itself, and to say what is not ready."""

    def __init__(self, home: Path, engine: str) -> None:
        self.home = home
        self.engine = engine

    def up(self) -> None:
        """Start it and wait until it serves."""
        self.ok("up", "--runtime", self.runtime, "--engine", self.engine)

    @abstractmethod
    def app(self, workload: str) -> str:
        """How `mizzen status` calls the application of a workload's first replica."""

    @abstractmethod
    def sidecar(self, workload: str) -> str:
        """How it calls that one's proxy."""

    @abstractmethod
    def log(self, process: str) -> list[str]:
        """The lines that a process wrote."""

    @abstractmethod
    def stop(self, workload: str) -> None:
        """End a workload as one ends it on this runtime when nobody is to notice."""

    @abstractmethod
    def start(self, workload: str) -> None:
        """Bring it back, with an address that may be another one."""

    @property
    def obstacle(self) -> str:
        """What a second mesh on this machine is told to be in its way."""
        return "127.0.0.1:8080"

    @property
    @abstractmethod
    def visitors(self) -> str:
        """The network from which productpage is asked: that of the ingress gateway."""

    def address(self, workload: str) -> str:
        """The IP address of its sidecar."""
        return self.address_of(self.sidecar(workload))

    def address_of(self, process: str) -> str:
        """The IP address of a process or container, as `mizzen status` tells it."""
        (found,) = (row["address"] for row in self.table("status")["processes"] if row["name"] == process)
        return str(found).partition(":")[0]

    def ask(self, workload: str, port: int, path: str) -> tuple[int, str]:
        """Status and body of a plaintext GET by a client without a sidecar; 0 where it is not answered."""
        return self.ask_at(self.address(workload), port, path)

    def ask_at(self, address: str, port: int, path: str) -> tuple[int, str]:
        """The same, wherever it is."""
        connection = http.client.HTTPConnection(address, port, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except (OSError, http.client.HTTPException):
            return 0, ""
        finally:
            connection.close()

    @property
    @abstractmethod
    def outside(self) -> str:
        """The address of this machine at which Mixer reaches a server of the test."""

    @abstractmethod
    def adapters(self) -> Folders:
        """Where an adapter of the user's own is put, and where it may write."""

    @abstractmethod
    def redis(self) -> AbstractContextManager[str]:
        """A redis-server, by the address that Mixer reaches it at."""

    def gateway_api(self) -> AbstractContextManager[None]:
        """The Gateway API can be used meanwhile."""
        return nullcontext()

    def mizzen(self, *args: str, stdin: str | None = None) -> Finished:
        """Run `mizzen ARGS`; whatever its exit status is."""
        done = subprocess.run(
            [str(Path(sys.executable).with_name("mizzen")), *args],
            env=os.environ | {"MIZZEN_HOME": str(self.home), "COLUMNS": "200", "NO_COLOR": "1"},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=self.command_seconds,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def ok(self, *args: str, stdin: str | None = None) -> str:
        """Run `mizzen ARGS`, which must succeed; its standard output."""
        done = self.mizzen(*args, stdin=stdin)
        assert done.status == 0, f"mizzen {' '.join(args)} ended with {done.status}:\n{done.text}"
        return done.out

    def table(self, *args: str) -> Any:
        return json.loads(self.ok(*args, "-o", "json"))

    def apply(self, sample: str) -> None:
        """Apply one of the demo's networking samples."""
        self.ok("apply", "-f", str(NETWORKING / sample))

    def delete(self, sample: str) -> None:
        """Delete one of them; another sample around this one may have held some of the same resources."""
        self.ok("delete", "--ignore-not-found", "-f", str(NETWORKING / sample))

    def process(self, name: str) -> int:
        """The pid of a process of the mesh."""
        rows = {row["name"]: row for row in self.table("status")["processes"]}
        return int(rows[name]["pid"])

    def incarnation(self, process: str) -> str:
        """Another text after every start of it, and none while it does not run."""
        return str(self.process(process) or "")

    def kill(self, process: str) -> None:
        """End it as a crash does."""
        os.kill(self.process(process), signal.SIGKILL)

    @property
    def ready(self) -> bool:
        """Whether every process of the mesh is well."""
        return bool(self.table("status")["ready"])

    @contextmanager
    def applied(self, sample: str) -> Iterator[None]:
        """The sample is in force inside the block, and gone after it."""
        self.apply(sample)
        try:
            yield
        finally:
            self.delete(sample)


@contextmanager
def in_force(mesh: Mesh, yaml: str) -> Iterator[None]:
    """The objects are in force inside the block, and those that are left of them gone after it."""
    mesh.ok("apply", "-f", "-", stdin=yaml)
    try:
        yield
    finally:
        mesh.ok("delete", "--ignore-not-found", "-f", "-", stdin=yaml)


def get(
    path: str, headers: dict[str, str] | None = None, *, connection: http.client.HTTPConnection | None = None
) -> Answer:
    """GET through the ingress gateway."""
    own = connection or http.client.HTTPConnection(*GATEWAY, timeout=VISITOR_SECONDS)
    try:
        own.request("GET", path, headers=headers or {})
        response = own.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        if connection is None:
            own.close()


def reviews_version(answer: Answer) -> str:
    """Which version of reviews made `REVIEWS`: v1 has no stars, v2 black ones, v3 red ones."""
    assert answer.status == 200, (answer.status, answer.headers, answer.body)
    ratings = [review.get("rating", {}) for review in answer.json()["reviews"]]
    colours = {rating.get("color") for rating in ratings}
    return {None: "v1", "black": "v2", "red": "v3"}[colours.pop()]


def count_versions(requests: int, headers: dict[str, str] | None = None) -> Counter[str]:
    """How often each version of reviews answers, over one kept-alive connection to the gateway."""
    connection = http.client.HTTPConnection(*GATEWAY, timeout=10)
    try:
        return Counter(reviews_version(get(REVIEWS, headers, connection=connection)) for _ in range(requests))
    finally:
        connection.close()


def eventually(condition: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Wait until the condition holds; fail naming `what` did not happen."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"within {seconds} s: {what} did not happen"
        time.sleep(0.05)


def only(versions: set[str], headers: dict[str, str] | None = None) -> Callable[[], bool]:
    """A condition: ten requests in a row see no other versions of reviews than these."""
    return lambda: set(count_versions(10, headers)) <= versions
