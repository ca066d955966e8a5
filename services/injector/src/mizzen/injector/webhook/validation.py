"""`/validate`: the mesh's configuration, checked before it is stored, as `mizzen validate` checks a file."""

from __future__ import annotations

from mizzen.api.kinds import KINDS
from mizzen.api.parse import parse_object
from mizzen.api.problem import Problem
from mizzen.injector.webhook.review import Answer, read_review

MAX_PROBLEMS = 20
"""That a refusal tells of; who mends them hears of the others."""


def validated(body: bytes) -> Answer:
    """Judge the object of a review; raises BadReview.

    An object that is on its way out passes: its finalizers must be able to come off, whatever its spec says. So does
    one of a kind that this mesh does not know, with a warning: it may be another mesh's.
    """
    review = read_review(body)
    item, asked = review.request.get("object"), review.request.get("kind") or {}
    name = f"{asked.get('kind', '-')} {review.request.get('namespace', '')}/{review.request.get('name', '')}"
    if not isinstance(item, dict) or review.request.get("operation") not in ("CREATE", "UPDATE"):
        return review.answer("valid", name, "there is no new object")
    metadata = item.get("metadata")
    if isinstance(metadata, dict) and metadata.get("deletionTimestamp"):
        return review.answer("valid", name, "it is being deleted")
    parsed = parse_object(item, default_namespace=review.request.get("namespace") or "default")
    warnings = [_told(problem) for problem in parsed.problems if problem.severity == "warning"]
    if parsed.errors and item.get("kind") not in KINDS:
        warnings += [_told(problem) for problem in parsed.errors]
        return review.answer("valid", name, "its kind is not known", warnings=warnings)
    if parsed.errors:
        return review.answer("refused", name, _refusal(parsed.errors), warnings=warnings)
    return review.answer("valid", name, "nothing is wrong with it", warnings=warnings)


def _refusal(errors: tuple[Problem, ...]) -> str:
    told = [_told(problem) for problem in errors[:MAX_PROBLEMS]]
    if len(errors) > MAX_PROBLEMS:
        told.append(f"and {len(errors) - MAX_PROBLEMS} more")
    return f"{errors[0].resource}: {'; '.join(told)}" if errors[0].resource else "; ".join(told)


def _told(problem: Problem) -> str:
    """Without the object, which its author has in hand."""
    return f"{problem.path}: {problem.message}" if problem.path else problem.message
