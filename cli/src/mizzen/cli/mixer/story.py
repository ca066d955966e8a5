"""What Mixer tells of one request, for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

_UNASKED = {
    "generate": "asked for attributes",
    "quota": "not asked, charge it with -q",
    "report": "not sent",
}
"""What to say of handlers without an answer, by what they are for."""
_INFORMING = {"generate", "report"}


def is_refused(story: Mapping[str, Any]) -> bool:
    """Whether the request would not go on; a check that fails is a refusal where proxies fail closed."""
    return "error" in story or story["verdict"]["status"]["code"] != "OK" or bool(_refused_quotas(story))


def _refused_quotas(story: Mapping[str, Any]) -> list[str]:
    instances = [instance for rule in story["rules"] for instance in rule.get("instances", ())]
    asked = [instance for instance in instances if "amount" in (instance.get("answer") or {})]
    return [instance["instance"] for instance in asked if instance["answer"]["status"]["code"] != "OK"]


def story_lines(story: Mapping[str, Any], *, with_values: bool = False) -> Iterator[str]:
    """The verdict, then the rules that had a say in it, those that only inform, and the others in a line each.

    `with_values`: also what handlers of reports and attributes are given; of checks and quotas that is always there.
    """
    yield from _verdict(story)
    for quota in _refused_quotas(story):
        yield f"The quota {quota} is not granted"
    matched = [rule for rule in story["rules"] if rule["matched"]]
    for rule in sorted(matched, key=_only_informs):
        yield f"- {rule['rule']} matches ({rule['match'] or 'true'})"
        yield from _instances(rule, with_values=with_values)
    for name, reason in story.get("left_out", {}).items():
        yield f"- {name} is not in force: {reason}"
    for rule in story["rules"]:
        if not rule["matched"]:
            reason = f": {rule['reason']}" if "reason" in rule else ""
            yield f"- {rule['rule']} does not match ({rule['match'] or 'true'}){reason}"


def _verdict(story: Mapping[str, Any]) -> Iterator[str]:
    if "error" in story:
        yield f"The check fails: {story['error']}"
        return
    verdict = story["verdict"]
    longer = verdict.get("uncapped_duration")
    capped = f" (Mixer's limit; {longer} by what handlers say)" if longer else ""
    valid = f"valid for {verdict['valid_duration']}{capped} and {verdict['valid_use_count']} uses"
    yield f"{_status(verdict['status'])}, {valid}"
    for side in ("request", "response"):
        for edit in verdict.get(f"{side}_headers", ()):
            yield f"{side} header {edit['name']}: {edit['action']} {edit['value']}".rstrip()


def _only_informs(rule: Mapping[str, Any]) -> bool:
    """Whether a rule reports or looks attributes up, and has no say in the verdict."""
    varieties = {instance["variety"] for instance in rule["instances"]}
    return bool(varieties) and varieties <= _INFORMING


def _instances(rule: Mapping[str, Any], *, with_values: bool) -> Iterator[str]:
    for instance in rule["instances"]:
        yield f"    {instance['instance']} -> {instance['handler']}: {_outcome(instance)}"
        if with_values or instance["variety"] not in _INFORMING:
            for name, value in instance.get("fields", {}).items():
                yield f"      {name} = {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"


def _outcome(instance: Mapping[str, Any]) -> str:
    if "error" in instance:
        return f"error: {instance['error']}"
    answer = instance.get("answer")
    if answer is None:
        return _UNASKED[instance["variety"]]
    granted = f"grants {answer['amount']}, " if "amount" in answer else ""
    output = "".join(f", output {name} = {value}" for name, value in answer.get("output", {}).items())
    return granted + _status(answer["status"]) + output


def _status(status: Mapping[str, Any]) -> str:
    return f"{status['code']} ({status['message']})" if status["message"] else str(status["code"])
