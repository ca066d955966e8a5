"""The life of one container: started, asked, started again, ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from support.kubelet.objects import Object
from support.kubelet.probes import Asker, watch

BACK_OFF = (0.0, 1.0, 10.0)
"""Before the first restart, before the second (doubled for each further one), and at most: tests wait for it."""
POLL_SECONDS = 0.01


@dataclass(frozen=True)
class Plan:
    """How to run it."""

    spec: Object
    namespace: str
    """Of the network."""
    address: str
    script: Path
    """Makes its root and runs it."""
    environment: Mapping[str, str]
    rights: tuple[str, ...]
    """What goes before a command that runs beside it."""
    log: Path
    grace: float
    """Seconds from SIGTERM to SIGKILL when it is no longer alive."""


@dataclass
class State:
    """What the API server is told of it."""

    waiting: str | None = "PodInitializing"
    began: str = ""
    ended: str = ""
    code: int | None = None
    """Of its last end, while it does not run."""
    pid: int = 0
    restarts: int = 0
    started: bool = False
    ready: bool = False
    last: Object = field(default_factory=dict)


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Container:
    """One of a Pod; `changed` is called when its state is another one."""

    def __init__(self, plan: Plan, policy: str, changed: Callable[[], None]) -> None:
        """`policy` is what happens after it ended: Always, OnFailure or Never."""
        self.name = plan.spec["name"]
        self.state = State()
        self._plan = plan
        self._policy = policy
        self._changed = changed
        self._asker = Asker(plan.spec, plan.address, self._beside)
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False
        self._up = asyncio.Event()
        """It runs, its postStart hook is over and its startup probe has succeeded."""
        self._begun = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def done(self) -> bool:
        """Whether it ended for good."""
        return self._task is not None and self._task.done()

    async def start(self) -> None:
        """Run it; returns when its postStart hook is over, or it ended."""
        self._task = asyncio.create_task(self._live(), name=self.name)
        await self._either(self._begun)

    async def wait_started(self) -> bool:
        """Until its startup probe has succeeded: False when it ended before."""
        await self._either(self._up)
        return self._up.is_set()

    async def wait(self) -> None:
        """Until it ended for good."""
        if self._task is not None:
            await asyncio.shield(self._task)

    async def stop(self, grace: float) -> None:
        """preStop, SIGTERM, and SIGKILL when the seconds are over."""
        self._stopping = True
        if self._task is None or self._task.done():
            return
        if self._process is None:
            self._task.cancel()  # it waits for its next start
        try:
            async with asyncio.timeout(grace):
                hook = self._plan.spec.get("lifecycle", {}).get("preStop")
                if hook and self._process is not None:
                    await self._asker.hook(hook)
                self._signal(signal.SIGTERM)
                await asyncio.wait([self._task])
        except TimeoutError:
            self._task.cancel()
        await asyncio.wait([self._task])

    async def _either(self, event: asyncio.Event) -> None:
        assert self._task is not None
        waiting = asyncio.create_task(event.wait())
        try:
            await asyncio.wait([waiting, self._task], return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()

    async def _live(self) -> None:
        """Run it as often as the policy wants."""
        pause = BACK_OFF[0]
        while True:
            code = await self._once()
            if self._is_over(code):
                return
            self.state.last = terminated(self.state)
            self.state.waiting = "CrashLoopBackOff"
            self._changed()
            await asyncio.sleep(pause)
            pause = min(max(2 * pause, BACK_OFF[1]), BACK_OFF[2])
            self.state.restarts += 1

    def _is_over(self, code: int) -> bool:
        return self._stopping or self._policy == "Never" or (self._policy == "OnFailure" and code == 0)

    async def _once(self) -> int:
        """From a start to an end: the exit status."""
        plan = self._plan
        with plan.log.open("ab") as output:
            os.fchmod(output.fileno(), 0o666)  # runc gives it to the container's user, who may open /dev/stdout anew
            self._process = process = await asyncio.create_subprocess_exec(
                *("nsenter", f"--net=/run/netns/{plan.namespace}"),
                *("unshare", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "sh", str(plan.script)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(plan.environment),
                start_new_session=True,
            )
        probing: asyncio.Task[None] | None = None
        try:
            self.state.pid = await _running(process, plan.script.with_suffix(".up"))
            self.state.waiting, self.state.code, self.state.began = None, None, now()
            self._changed()
            probing = asyncio.create_task(self._probe(), name=f"{self.name} probes")
            await process.wait()
        finally:
            if probing is not None:
                probing.cancel()
            if process.returncode is None:
                # Not only unshare: its child has another user, so that it would outlive it.
                if pid := _first_child(process.pid):
                    os.kill(pid, signal.SIGKILL)
                process.kill()
                await process.wait()
            code = process.returncode or 0
            self._process = None
            self.state.pid, self.state.ready, self.state.started = 0, False, False
            self.state.code, self.state.ended = code if code >= 0 else 128 - code, now()
            self._changed()
        return self.state.code

    async def _probe(self) -> None:
        """postStart, then the startup probe, then the two others."""
        spec = self._plan.spec
        hook = spec.get("lifecycle", {}).get("postStart")
        if hook and not await self._asker.hook(hook):
            self._signal(signal.SIGKILL)
            return
        self._begun.set()
        if probe := spec.get("startupProbe"):
            await watch(probe, self._asker.probe, self._startup)
        if not spec.get("startupProbe"):
            self._startup(True)
        async with asyncio.TaskGroup() as tasks:
            if probe := spec.get("livenessProbe"):
                tasks.create_task(self._while_alive(probe))
            if probe := spec.get("readinessProbe"):
                tasks.create_task(watch(probe, self._asker.probe, self._readiness))

    def _startup(self, success: bool) -> bool:
        if not success:
            self._signal(signal.SIGKILL)
            return False
        self.state.started = True
        self.state.ready = "readinessProbe" not in self._plan.spec
        self._up.set()
        self._changed()
        return False

    async def _while_alive(self, probe: Object) -> None:
        """Until it is not; then it is ended, and its policy says what follows."""
        await watch(probe, self._asker.probe, lambda success: success)
        self._signal(signal.SIGTERM)
        await asyncio.sleep(self._plan.grace)
        self._signal(signal.SIGKILL)

    def _readiness(self, success: bool) -> bool:
        if self.state.ready is not success:
            self.state.ready = success
            self._changed()
        return True

    async def _beside(self, command: list[str]) -> bool:
        """Run a command in the container: a probe or a hook."""
        entered = ["nsenter", f"--target={self.state.pid}", "--mount", "--pid", "--net", "--uts", "--ipc", "--root"]
        with self._plan.log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *(*entered, "--wd", *self._plan.rights, *command),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(self._plan.environment),
            )
        try:
            return await process.wait() == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    def _signal(self, number: int) -> None:
        if self.state.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.state.pid, number)


async def _running(process: asyncio.subprocess.Process, mark: Path) -> int:
    """The container's first process, once its root is made; 0 when that failed."""
    while process.returncode is None:
        if is_marked(mark):
            return _first_child(process.pid)
        await asyncio.sleep(POLL_SECONDS)
    return 0


def is_marked(mark: Path) -> bool:
    """Whether the script came to its command; the next one begins anew."""
    if not mark.exists() or not mark.stat().st_size:
        return False
    mark.unlink()
    return True


def _first_child(pid: int) -> int:
    """0 where there is none."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0
    return int(children[0]) if children else 0


def terminated(state: State) -> Object:
    """The end of a container, as a status has it."""
    reason = "Completed" if state.code == 0 else "Error"
    found = {"exitCode": state.code, "reason": reason, "finishedAt": state.ended}
    return {"terminated": found | ({"startedAt": state.began} if state.began else {})}
