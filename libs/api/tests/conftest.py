"""Fixtures of the API tests."""

import textwrap
from collections.abc import Callable

import pytest

from mizzen.api.kinds import KINDS
from mizzen.api.parse import Parsed, parse
from mizzen.api.problem import Problem


def problem_line(problem: Problem) -> str:
    """`path: message`, warnings marked."""
    mark = "" if problem.severity == "error" else "warning "
    return f"{mark}{problem.path}: {problem.message}"


@pytest.fixture
def read() -> Callable[[str], Parsed]:
    """Parse an indented text."""
    return lambda text: parse(textwrap.dedent(text), file="mesh.yaml")


@pytest.fixture
def problems_of() -> Callable[..., list[str]]:
    """The problems of one kind's spec (YAML), as lines; `$NAME` in the spec stands for a snippet by that name."""

    def problems_of(kind: str, spec: str, **snippets: str) -> list[str]:
        for name, snippet in snippets.items():
            spec = spec.replace(f"${name}", snippet)
        body = textwrap.indent(textwrap.dedent(spec), "  ")
        version = KINDS[kind].api_versions[0]
        parsed = parse(
            f"apiVersion: {version}\nkind: {KINDS[kind].name}\nmetadata: {{name: it, namespace: shop}}\nspec:\n{body}"
        )
        lines = [problem_line(problem) for problem in parsed.problems]
        has_error = any(problem.severity == "error" for problem in parsed.problems)
        assert len(parsed.resources) == (0 if has_error else 1)
        return lines

    return problems_of
