"""The rule engine as a whole: what Mixer's servers and pages ask."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from mizzen.api.mixer.kinds import GROUP, MODELS
from mizzen.api.resource import Resource, ResourceKey
from mizzen.api.store.contents import Store
from mizzen.attributes.bag import Bag
from mizzen.mixer.adapter import QuotaArgs
from mizzen.mixer.adapters import registry
from mizzen.mixer.config.config import Config, load
from mizzen.mixer.config.handlers import Find
from mizzen.mixer.runtime import pages
from mizzen.mixer.runtime.destination import Destination
from mizzen.mixer.runtime.explain import explain
from mizzen.mixer.runtime.handlers import Handlers
from mizzen.mixer.runtime.judge import judge
from mizzen.mixer.runtime.loads import Loads
from mizzen.mixer.runtime.plan import Plan, plan_of
from mizzen.mixer.runtime.report import Reporter
from mizzen.mixer.verdict import Verdict
from mizzen.runtime.errors import StartError

log = logging.getLogger(__name__)

QUIET_SECONDS = 0.1
"""Changes that follow each other faster are taken together."""
HELD = "its last good version stays in use"


class RuleEngine:
    """Policy from a store of resources. Implements `mizzen.mixer.server.policy.Engine`."""

    def __init__(
        self,
        store: Store,
        default_namespace: str = "istio-system",
        find: Find = registry.find,
        longest_validity: timedelta = timedelta.max,
    ) -> None:
        self.config = Config()
        self.handlers = Handlers()
        self.loads = Loads()
        self._store = store
        self._default_namespace = default_namespace
        self._find = find
        self._longest_validity = longest_validity
        """How long a proxy may keep a verdict, whatever handlers say: so soon a new rule holds everywhere."""
        self._plan = Plan()
        self._reporter = Reporter(self._plan)
        self._good: dict[ResourceKey, Resource] = {}

    async def load(self) -> None:
        """Read the configuration once; raises StartError."""
        try:
            await self._store.load()
        except OSError as error:
            raise StartError(f"cannot read the configuration: {error}") from error
        await self._apply()

    async def watch(self) -> None:
        """Follow changes until cancelled."""
        changed = asyncio.Event()

        def on_change(keys: frozenset[ResourceKey]) -> None:
            if any(key.kind in MODELS for key in keys):
                changed.set()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._store.watch(on_change))
            while True:
                await changed.wait()
                await asyncio.sleep(QUIET_SECONDS)
                changed.clear()
                await self._apply()

    async def close(self) -> None:
        """Close all handlers."""
        self._reporter = Reporter(Plan())
        self._plan = self._reporter.plan
        await self.handlers.close()

    async def check(self, bag: Bag, quotas: Mapping[str, QuotaArgs], deduplication_id: str) -> Verdict:
        """Judge one request; raises PolicyError."""
        with (plan := self._plan):
            verdict = await judge(plan, bag, quotas, deduplication_id, self.loads)
        if verdict.valid_duration > self._longest_validity:
            return replace(verdict, valid_duration=self._longest_validity)
        return verdict

    @property
    def report_reads(self) -> Container[str]:
        """See `Policy.report_reads`."""
        return self._reporter.reads

    async def report(self, bags: Sequence[Bag]) -> None:
        """Send telemetry about requests; raises PolicyError."""
        with (reporter := self._reporter).plan:
            await reporter.report(bags, self.loads)

    async def explain(self, bag: Bag, quotas: Mapping[str, QuotaArgs]) -> Mapping[str, object]:
        """Which rules match a request, what they make of it and what each handler says."""
        with (plan := self._plan):
            story = await explain(plan, bag, quotas, self._longest_validity)
        return {**story, "left_out": self._left_out()}

    @property
    def destinations(self) -> Sequence[Destination]:
        """Where instances can be sent."""
        return list(self.handlers.destinations().values())

    def show_config(self) -> Mapping[str, object]:
        """Resources in use, and the reasons why others are not."""
        unread = [p for p in self._store.contents.problems if p.resource.split(" ")[0] in (*MODELS, "")]
        stopped = [f"handler {name}: {reason}" for name, reason in self.handlers.failed.items()]
        return pages.config_page(self.config, [*unread, *stopped])

    def show_handlers(self) -> Sequence[Mapping[str, object]]:
        """Handlers that run or failed to, and for which instances."""
        return pages.handlers_page(self.handlers)

    def show_rules(self) -> Sequence[Mapping[str, object]]:
        """Rules in the order in which they are tried, and the quarantined ones with their reason."""
        return pages.rules_page(self.config, self._plan, self._default_namespace)

    def show_attributes(self) -> Mapping[str, str]:
        """The vocabulary: types by name of attribute."""
        return {name: self.config.vocabulary[name].name for name in sorted(self.config.vocabulary)}

    def _left_out(self) -> dict[str, str]:
        """Rules and handlers that are not in force, and why: what they would have said is in no verdict."""
        rules = {id_: reason for id_, reason in self.config.quarantined.items() if id_.startswith("rule ")}
        failed = {name: reason for name, reason in self.handlers.failed.items() if name not in self.handlers.running}
        return rules | {f"handler {name}": reason for name, reason in failed.items()}

    async def _apply(self) -> None:
        """Put what the store holds into force."""
        before = set(map(str, self.config.problems))
        self.config = self._compile(r for r in self._store.contents.resources.values() if r.group == GROUP)
        for problem in self.config.problems:
            if str(problem) not in before:
                log.log(logging.ERROR if problem.severity == "error" else logging.WARNING, "%s", problem)
        old = await self.handlers.change(self.config.rules)
        plan = plan_of(self.config.rules, self.handlers.destinations(), self._default_namespace)
        self._plan, previous = plan, self._plan
        self._reporter = Reporter(plan)
        self.handlers.retire(old, previous)
        log.info("%d rules and %d handlers in force", len(self.config.rules), len(self.handlers.running))

    def _compile(self, resources: Iterable[Resource]) -> Config:
        """Compile; what cannot be used keeps its last good version, lest a slip of the pen open what was closed."""
        current = {resource.key: resource for resource in resources}
        config = load(current.values(), self._find)
        held = {
            key: self._good[key]
            for key in current
            if str(key) in config.quarantined and self._good.get(key, current[key]) != current[key]
        }
        if held:
            kept = load((current | held).values(), self._find)
            config = _with_held(config, kept, {str(key) for key in held})
        usable = current | held
        self._good = {key: usable[key] for key in usable if key in held or str(key) not in config.quarantined}
        return config


def _with_held(config: Config, kept: Config, held: set[str]) -> Config:
    """`kept`, which has last good versions in it, with what is wrong with the versions that they stand for."""
    reasons = {id_: f"{config.quarantined[id_]}; {HELD}" for id_ in held - kept.quarantined.keys()}
    problems = [problem for problem in config.problems if problem.resource in held]
    return replace(kept, problems=(*problems, *kept.problems), quarantined={**kept.quarantined, **reasons})
