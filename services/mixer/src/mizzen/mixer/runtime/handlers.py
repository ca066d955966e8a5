"""Handlers and their lives: started when rules use them, kept while nothing of them changes, closed when drained."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from mizzen.mixer.adapter import AdapterError, Environment, Handler, Use
from mizzen.mixer.config.handlers import HandlerConfig
from mizzen.mixer.config.rules import RuleConfig
from mizzen.mixer.runtime.budget import Budget
from mizzen.mixer.runtime.destination import Destination, Tally
from mizzen.mixer.runtime.plan import Plan

log = logging.getLogger(__name__)

BUILD_SECONDS = 10.0
DRAIN_SECONDS = 10.0
"""How long requests over an old plan may keep its handlers."""
CLOSE_SECONDS = 10.0


@dataclass(slots=True, eq=False)
class Running:
    """A handler that was started, what it was started with, and its places by template."""

    handler: Handler
    config: HandlerConfig
    uses: tuple[Use, ...]
    signature: str
    destinations: dict[str, Destination] = field(default_factory=dict)


@dataclass(slots=True)
class Lives:
    """How often what happened to handlers."""

    started: int = 0
    kept: int = 0
    closed: int = 0
    failed_to_start: int = 0
    failed_to_close: int = 0


class Handlers:
    """The handlers of the plan in force."""

    def __init__(self) -> None:
        self.running: dict[str, Running] = {}
        self.failed: dict[str, str] = {}
        """Reasons by name, of handlers that do not run as their resource says."""
        self.lives = Lives()
        self._tallies: dict[tuple[str, str], tuple[Tally, Tally]] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def change(self, rules: Sequence[RuleConfig]) -> list[Running]:
        """Start what rules use and does not run yet; gives what ran before and is not used any more.

        A handler that cannot be started as it should be goes on as it was, if it was.
        """
        wanted = _wanted(rules)
        outcomes = await asyncio.gather(*[self._running(config, uses) for config, uses in wanted.values()])
        before, self.running, self.failed = self.running, {}, {}
        for name, outcome in zip(wanted, outcomes, strict=True):
            if isinstance(outcome, Running):
                self.running[name] = outcome
                continue
            self.failed[name] = outcome
            if name in before:
                self.running[name] = before[name]
                self.failed[name] = f"{outcome}; it goes on as it was"
            log.error("Handler %s: %s", name, self.failed[name])
        for running in self.running.values():
            self._add_destinations(running, wanted[running.config.name][1])
        return [old for name, old in before.items() if self.running.get(name) is not old]

    async def _running(self, config: HandlerConfig, uses: tuple[Use, ...]) -> Running | str:
        """The handler as before or a new one, or why there is none."""
        signature = _signature(config, uses)
        old = self.running.get(config.name)
        if old is not None and old.signature == signature:
            self.lives.kept += 1
            return old
        environment = Environment(config.name, config.namespace, uses)
        try:
            handler = await asyncio.wait_for(config.adapter.build(config.params, environment), BUILD_SECONDS)
        except TimeoutError:
            reason = f"did not start within {BUILD_SECONDS:g} s"
        except AdapterError as error:
            reason = str(error)
        except Exception as error:  # an adapter may raise anything
            log.exception("Handler %s", config.name)
            reason = f"{type(error).__name__}: {error}"
        else:
            self.lives.started += 1
            return Running(handler, config, uses, signature)
        self.lives.failed_to_start += 1
        return reason

    def _add_destinations(self, running: Running, uses: Sequence[Use]) -> None:
        """One for each template it is sent; the budget of errors is the handler's, the numbers are the name's."""
        config = running.config
        budget = next((each.budget for each in running.destinations.values()), Budget())
        for template in {use.template for use in uses} - running.destinations.keys():
            good, bad = self._tallies.setdefault((config.name, template), (Tally(), Tally()))
            running.destinations[template] = Destination(
                running.handler, config.name, config.title, config.adapter.name, template, budget, good, bad
            )

    def retire(self, old: Sequence[Running], plan: Plan) -> None:
        """Close handlers when the requests over their plan have ended, or have had their time."""
        if old:
            task = asyncio.create_task(self._retire(old, plan))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def _retire(self, old: Sequence[Running], plan: Plan) -> None:
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await plan.drained()
        except TimeoutError:
            log.warning("Requests over old rules have not ended within %g s; closing their handlers", DRAIN_SECONDS)
        await asyncio.gather(*[self._close(running) for running in old])

    async def _close(self, running: Running) -> None:
        try:
            await asyncio.wait_for(running.handler.close(), CLOSE_SECONDS)
        except TimeoutError:
            log.error("Handler %s did not close within %g s", running.config.name, CLOSE_SECONDS)
        except Exception:
            log.exception("Handler %s did not close", running.config.name)
        else:
            self.lives.closed += 1
            return
        self.lives.failed_to_close += 1

    async def close(self) -> None:
        """Close all handlers."""
        running, self.running = list(self.running.values()), {}
        await asyncio.gather(*self._closing, *[self._close(each) for each in running])

    def destinations(self) -> dict[tuple[str, str], Destination]:
        """Where instances can be sent, by name of handler and template."""
        return {
            (name, template): destination
            for name, running in self.running.items()
            for template, destination in running.destinations.items()
        }


def _wanted(rules: Sequence[RuleConfig]) -> dict[str, tuple[HandlerConfig, tuple[Use, ...]]]:
    """The handlers that rules name, and the instances they are sent."""
    configs: dict[str, HandlerConfig] = {}
    uses: dict[str, dict[str, Use]] = {}
    for rule in rules:
        for action in rule.actions:
            configs[action.handler.name] = action.handler
            for instance in action.instances:
                use = Use(instance.name, instance.template.name, instance.types)
                uses.setdefault(action.handler.name, {})[instance.name] = use
    return {
        name: (config, tuple(uses[name][instance] for instance in sorted(uses[name])))
        for name, config in configs.items()
    }


def _signature(config: HandlerConfig, uses: tuple[Use, ...]) -> str:
    """Equal for handlers that need not be started anew."""
    used = [[use.name, use.template, dict(use.types)] for use in uses]
    return json.dumps([config.adapter.name, dict(config.params), used], sort_keys=True, default=repr)
