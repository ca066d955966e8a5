"""What Mixer tells of one request, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_UNASKED = {"kubernetes": "asked for attributes", "quota": "not asked, charge it with -q"}
"""What to say of handlers without an answer, by template; those of reports get nothing."""


def is_refused(story: Mapping[str, Any]) -> bool:
    """Whether the request would not go on; a check that fails is a refusal where proxies fail closed."""
    return "error" in story or story["verdict"]["status"]["code"] != "OK" or bool(_refused_quotas(story))


def _refused_quotas(story: Mapping[str, Any]) -> list[str]:
    instances = [instance for rule in story["rules"] for instance in rule.get("instances", ())]
    asked = [instance for instance in instances if "amount" in (instance.get("answer") or {})]
    return [instance["instance"] for instance in asked if instance["answer"]["status"]["code"] != "OK"]


def story_lines(story: Mapping[str, Any]) -> Iterator[str]:
    """The verdict first, then every rule that was tried."""
    if "error" in story:
        yield f"The check fails: {story['error']}"
    else:
        verdict = story["verdict"]
        valid = f"valid for {verdict['valid_duration']} and {verdict['valid_use_count']} uses"
        yield f"{_status(verdict['status'])}, {valid}"
    for quota in _refused_quotas(story):
        yield f"The quota {quota} is not granted"
    for rule in story["rules"]:
        yield from _rule(rule)
    for name, reason in story.get("left_out", {}).items():
        yield f"- {name} is not in force: {reason}"


def _rule(rule: Mapping[str, Any]) -> Iterator[str]:
    condition = rule["match"] or "true"
    if not rule["matched"]:
        reason = f": {rule['reason']}" if "reason" in rule else ""
        yield f"- {rule['rule']} does not match ({condition}){reason}"
        return
    yield f"- {rule['rule']} matches ({condition})"
    for instance in rule["instances"]:
        yield f"    {instance['instance']} -> {instance['handler']}: {_outcome(instance)}"
        for name, value in instance.get("fields", {}).items():
            yield f"      {name} = {value}"


def _outcome(instance: Mapping[str, Any]) -> str:
    if "error" in instance:
        return f"error: {instance['error']}"
    answer = instance.get("answer")
    if answer is None:
        return _UNASKED.get(instance["template"], "not sent")
    granted = f"grants {answer['amount']}, " if "amount" in answer else ""
    return granted + _status(answer["status"])


def _status(status: Mapping[str, Any]) -> str:
    return f"{status['code']} ({status['message']})" if status["message"] else str(status["code"])
