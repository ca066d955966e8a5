"""An engine over resources in memory, and an adapter whose handlers do what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from mizzen.api.parse import parse
from mizzen.api.store.contents import Contents, OnChange, changed_keys
from mizzen.attributes.bag import DictBag
from mizzen.mixer.adapter import AdapterError, CheckResult, Environment, QuotaArgs, QuotaResult
from mizzen.mixer.adapters.base import HandlerBase
from mizzen.mixer.adapters.registry import find
from mizzen.mixer.config.templates import TEMPLATES
from mizzen.mixer.runtime.engine import RuleEngine
from mizzen.mixer.templates import Instance
from mizzen.mixer.verdict import Verdict


class MemoryStore:
    """A store that tests write to."""

    def __init__(self) -> None:
        self.contents = Contents()
        self._on_change: OnChange = lambda keys: None
        self.watched = asyncio.Event()

    def put(self, text: str) -> None:
        """Replace everything by documents whose apiVersion is left out."""
        documents = [f"apiVersion: config.istio.io/v1alpha2\n{part}" for part in text.split("\n---\n") if part.strip()]
        parsed = parse("\n---\n".join(documents), file="policy.yaml")
        assert not parsed.errors, parsed.errors
        resources = MappingProxyType({resource.key: resource for resource in parsed.resources})
        before, self.contents = self.contents, Contents(resources, parsed.problems)
        self._on_change(changed_keys(before, self.contents))

    async def load(self) -> None:
        """Nothing to read."""

    async def watch(self, on_change: OnChange) -> None:
        self._on_change = on_change
        self.watched.set()
        await asyncio.Event().wait()


@dataclass
class Script:
    """What the handlers of the adapter `probe` do, by their short name, and what happened to them."""

    checks: dict[str, Callable[[Instance], Any]] = field(default_factory=dict)
    quotas: dict[str, Callable[[Instance, QuotaArgs], Any]] = field(default_factory=dict)
    answers: dict[str, Callable[[Instance], Any]] = field(default_factory=dict)
    reports: dict[str, Callable[[Sequence[Instance]], Any]] = field(default_factory=dict)
    reported: list[tuple[str, list[Instance]]] = field(default_factory=list)
    asked: list[tuple[str, str, QuotaArgs]] = field(default_factory=list)
    checked: list[tuple[str, str]] = field(default_factory=list)
    built: list[tuple[str, Environment, Mapping[str, object]]] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    close: Callable[[str], Any] = lambda name: None
    revision: int | None = None
    """Of all its handlers' answers."""


async def _maybe_wait(value: Any) -> Any:
    return await value if hasattr(value, "__await__") else value


class ProbeHandler(HandlerBase):
    """Plays its part of the script."""

    def __init__(self, script: Script, name: str) -> None:
        self._script = script
        self._name = name

    @property
    def revision(self) -> int | None:  # type: ignore[override]
        return self._script.revision

    async def check(self, instance: Instance) -> CheckResult:
        self._script.checked.append((self._name, instance.name))
        play = self._script.checks.get(self._name, lambda instance: CheckResult())
        return await _maybe_wait(play(instance))

    async def quota(self, instance: Instance, args: QuotaArgs) -> QuotaResult:
        self._script.asked.append((self._name, instance.name, args))
        play = self._script.quotas.get(self._name, lambda instance, args: QuotaResult(args.amount))
        return await _maybe_wait(play(instance, args))

    async def report(self, instances: Sequence[Instance]) -> None:
        self._script.reported.append((self._name, list(instances)))
        play = self._script.reports.get(self._name, lambda instances: None)
        return await _maybe_wait(play(instances))

    async def generate(self, instance: Instance) -> Mapping[str, Any]:
        return await _maybe_wait(self._script.answers[self._name](instance))

    async def close(self) -> None:
        self._script.closed.append(self._name)
        await _maybe_wait(self._script.close(self._name))


class ProbeAdapter:
    """Takes every template; `params: {fail: text}` keeps a handler from starting."""

    name = "noop"
    templates = frozenset(TEMPLATES)
    gives_output = True

    def __init__(self, script: Script, built: asyncio.Event) -> None:
        self._script = script
        self._built = built

    async def build(self, params: Mapping[str, object], environment: Environment) -> ProbeHandler:
        name = environment.name.split(".", 1)[0]
        self._script.built.append((name, environment, params))
        self._built.set()
        if "fail" in params:
            raise AdapterError(str(params["fail"]))
        if "crash" in params:
            raise RuntimeError(str(params["crash"]))
        return ProbeHandler(self._script, name)


class Probe:
    """An engine whose kind `noop` is the adapter above; other adapters are the real ones."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.built = asyncio.Event()
        self.store = MemoryStore()
        adapter = ProbeAdapter(script, self.built)
        self.engine = RuleEngine(self.store, find=lambda name: adapter if name == "noop" else find(name))

    async def check(
        self, attributes: Mapping[str, Any] | None = None, quotas: Mapping[str, int] | None = None, id_: str = "id-"
    ) -> Verdict:
        args = {name: QuotaArgs(amount, best_effort=True) for name, amount in (quotas or {}).items()}
        return await self.engine.check(DictBag(attributes or {}), args, id_)

    async def report(self, *requests: Mapping[str, Any]) -> None:
        await self.engine.report([DictBag(request) for request in requests])

    async def reload(self, text: str) -> None:
        """New contents, put into force."""
        self.store.put(text)
        await self.engine.load()

    async def settled(self) -> None:
        """Until tasks in the background have had their turn."""
        for _ in range(10):
            await asyncio.sleep(0)


def rule(name: str, *actions: str, namespace: str = "istio-system", **fields: str) -> str:
    """A rule whose actions are written `handler: instance instance` with short references to kinds."""
    pairs = [action.split(": ") for action in actions]
    written = ", ".join(
        f"{{handler: {handler}.noop.istio-system, instances: [{', '.join(instances.split())}]}}"
        for handler, instances in pairs
    ).replace("nothing.checknothing", "nothing.checknothing.istio-system")
    more = "".join(f"  {key}: {value}\n" for key, value in fields.items())
    return f"kind: rule\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec:\n  actions: [{written}]\n{more}"


def resource(kind: str, name: str, spec: str = "{}", namespace: str = "istio-system") -> str:
    return f"kind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n"


def together(*documents: str) -> str:
    return "\n---\n".join(documents)
