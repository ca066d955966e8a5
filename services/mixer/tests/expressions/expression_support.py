"""How the tables of expressions are written and checked.

A case is (expression, attributes, outcome). The outcome is a value, or `fails("text")` for an error of evaluation, or
`refused(column, "text")` for an error of compiling; texts are parts of the message.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest

from mizzen.attributes.bag import DictBag, TrackedBag
from mizzen.attributes.values import ValueType
from mizzen.attributes.vocabulary import ISTIOPROXY, KUBERNETES
from mizzen.mixer.expressions.attributes import is_of_type
from mizzen.mixer.expressions.errors import EvaluationError, InvalidExpression
from mizzen.mixer.expressions.expression import compile_expression

T = ValueType
VOCABULARY = {
    **ISTIOPROXY, **KUBERNETES,
    "as": T.STRING, "bs": T.STRING, "ab": T.BOOL, "bb": T.BOOL, "ai": T.INT64, "bi": T.INT64, "ad": T.DOUBLE,
    "bd": T.DOUBLE, "ar": T.STRING_MAP, "br": T.STRING_MAP, "adns": T.DNS_NAME, "bdns": T.DNS_NAME,
    "amail": T.EMAIL_ADDRESS, "bmail": T.EMAIL_ADDRESS, "auri": T.URI, "buri": T.URI, "adur": T.DURATION,
    "bdur": T.DURATION, "at": T.TIMESTAMP, "bt": T.TIMESTAMP, "aip": T.IP_ADDRESS, "bip": T.IP_ADDRESS,
}  # fmt: skip

NOON = datetime(2018, 7, 31, 12, 0, tzinfo=UTC)
LATER = NOON + timedelta(seconds=1)
FOUR = ip_address("1.2.3.4")
FIVE = ip_address("1.2.3.5")
SIX = ip_address("2001:db8::1")
MAPPED = ip_address("::ffff:1.2.3.4")


@dataclass(frozen=True)
class Fails:
    text: str


@dataclass(frozen=True)
class Refused:
    column: int
    text: str


def fails(text: str) -> Fails:
    return Fails(text)


def missing(name: str) -> Fails:
    return Fails(f"lookup failed: '{name}'")


def refused(column: int, text: str) -> Refused:
    return Refused(column, text)


def check_case(text: str, attributes: Mapping[str, Any], outcome: Any) -> None:
    """Compile, evaluate (with and without tracking), and compare; values must also be of the same class."""
    if isinstance(outcome, Refused):
        with pytest.raises(InvalidExpression) as refusal:
            compile_expression(text, VOCABULARY)
        assert outcome.text in str(refusal.value)
        assert refusal.value.column == outcome.column, str(refusal.value)
        return
    expression = compile_expression(text, VOCABULARY)
    bag = DictBag(attributes)
    if isinstance(outcome, Fails):
        for _ in range(2):
            with pytest.raises(EvaluationError) as failure:
                expression.evaluate(bag)
            assert outcome.text in str(failure.value)
        return
    for each in (bag, TrackedBag(bag)):
        value = expression.evaluate(each)
        assert value == outcome
        assert isinstance(value, type(outcome)) or isinstance(outcome, Mapping)
        assert is_of_type(value, expression.type)


def table(cases: list[tuple[str, Mapping[str, Any], Any]]) -> pytest.MarkDecorator:
    """A parametrisation with the expression as the name of each case."""
    return pytest.mark.parametrize(
        ("text", "attributes", "outcome"), cases, ids=[f"{number}-{case[0][:60]}" for number, case in enumerate(cases)]
    )
