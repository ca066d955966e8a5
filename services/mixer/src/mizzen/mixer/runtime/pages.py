"""What policy is in force, as the debug pages show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mizzen.mixer.config.config import Config
    from mizzen.mixer.config.rules import RuleConfig
    from mizzen.mixer.runtime.handlers import Handlers, Running
    from mizzen.mixer.runtime.plan import Plan, Trouble


def config_page(config: Config, other_problems: Sequence[object]) -> dict[str, object]:
    """Resources in use, and why others are not."""
    return {
        "rules": [rule.name for rule in config.rules],
        "handlers": sorted(config.handlers),
        "instances": {
            instance.name: {"template": instance.template.name, "fields": dict(instance.expressions)}
            for instance in config.instances.values()
        },
        "quarantined": dict(config.quarantined),
        "problems": [str(problem) for problem in (*other_problems, *config.problems)],
    }


def handlers_page(handlers: Handlers) -> list[dict[str, object]]:
    """Handlers that run, and then those that should and do not. Parameters may hold secrets and are left out."""
    page = [_running(running, handlers.failed.get(name, "")) for name, running in handlers.running.items()]
    stopped = [name for name in handlers.failed if name not in handlers.running]
    return page + [{"name": name, "running": False, "problem": handlers.failed[name]} for name in stopped]


def _running(running: Running, problem: str) -> dict[str, object]:
    calls = {
        template: {"ok": destination.good.calls, "failed": destination.bad.calls}
        for template, destination in running.destinations.items()
    }
    return {
        "name": running.config.name,
        "adapter": running.config.adapter.name,
        "running": True,
        "problem": problem,
        "instances": [use.name for use in running.uses],
        "calls": calls,
    }


def rules_page(config: Config, plan: Plan, default_namespace: str) -> list[dict[str, object]]:
    """Rules in the order of trying, those of the default namespace first; then the quarantined ones."""
    troubles = plan.troubles
    ordered = sorted(config.rules, key=lambda rule: rule.namespace != default_namespace)
    page = [_rule(rule, troubles.get(rule.name)) for rule in ordered]
    bad = {id_: reason for id_, reason in config.quarantined.items() if id_.startswith("rule ")}
    return page + [{"name": id_.removeprefix("rule "), "quarantined": reason} for id_, reason in bad.items()]


def _rule(rule: RuleConfig, trouble: Trouble | None) -> dict[str, object]:
    actions: list[Mapping[str, object]] = [
        {"handler": action.handler.name, "instances": [instance.name for instance in action.instances]}
        for action in rule.actions
    ]
    edits = [*rule.request_headers, *rule.response_headers]
    return {
        "name": rule.name,
        "namespace": rule.namespace,
        "match": rule.match.text if rule.match else "true",
        "actions": actions,
        "headers": [edit.name for edit in edits],
        "match_errors": trouble.count if trouble else 0,
        "last_match_error": trouble.last if trouble else "",
    }
