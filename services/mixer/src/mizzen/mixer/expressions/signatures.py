"""The functions of the language and their types; operators are functions by another spelling.

Source: istio/mixer/pkg/lang/ast/func.go and externs.go at 1.0.9; LT, LEQ, GT, GEQ, toLower and size at 1.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mizzen.attributes.values import ValueType

ANY = ValueType.UNSPECIFIED
"""In a signature: one type, the same wherever it stands; the first argument there decides which."""
_T = ValueType


@dataclass(frozen=True, slots=True)
class Signature:
    """What a function takes and gives. A method has the type of its target."""

    args: tuple[ValueType, ...]
    result: ValueType
    target: ValueType | None = None
    allowed: frozenset[ValueType] | None = None
    """What ANY may be where not every type is implemented."""


_EQUAL = frozenset(
    {
        _T.BOOL, _T.STRING, _T.INT64, _T.DOUBLE, _T.DNS_NAME, _T.EMAIL_ADDRESS, _T.URI, _T.IP_ADDRESS, _T.TIMESTAMP,
    }
)  # fmt: skip
_ORDERED = frozenset({_T.STRING, _T.INT64, _T.DOUBLE, _T.TIMESTAMP})
_ADDED = frozenset({_T.STRING, _T.INT64, _T.DOUBLE})
_COMPARISON = Signature((ANY, ANY), _T.BOOL, allowed=_ORDERED)
_LOGIC = Signature((_T.BOOL, _T.BOOL), _T.BOOL)
_METHOD = Signature((_T.STRING,), _T.BOOL, target=_T.STRING)

SIGNATURES: Mapping[str, Signature] = {
    "EQ": Signature((ANY, ANY), _T.BOOL, allowed=_EQUAL),
    "NEQ": Signature((ANY, ANY), _T.BOOL, allowed=_EQUAL),
    "LT": _COMPARISON,
    "LEQ": _COMPARISON,
    "GT": _COMPARISON,
    "GEQ": _COMPARISON,
    "OR": Signature((ANY, ANY), ANY),
    "LOR": _LOGIC,
    "LAND": _LOGIC,
    "INDEX": Signature((_T.STRING_MAP, _T.STRING), _T.STRING),
    "ADD": Signature((ANY, ANY), ANY, allowed=_ADDED),
    "conditional": Signature((_T.BOOL, ANY, ANY), ANY),
    "conditionalString": Signature((_T.BOOL, _T.STRING, _T.STRING), _T.STRING),
    "ip": Signature((_T.STRING,), _T.IP_ADDRESS),
    "timestamp": Signature((_T.STRING,), _T.TIMESTAMP),
    "dnsName": Signature((_T.STRING,), _T.DNS_NAME),
    "email": Signature((_T.STRING,), _T.EMAIL_ADDRESS),
    "uri": Signature((_T.STRING,), _T.URI),
    "match": Signature((_T.STRING, _T.STRING), _T.BOOL),
    "matches": _METHOD,
    "startsWith": _METHOD,
    "endsWith": _METHOD,
    "emptyStringMap": Signature((), _T.STRING_MAP),
    "toLower": Signature((_T.STRING,), _T.STRING),
    "size": Signature((_T.STRING,), _T.INT64),
}

INSTEAD: Mapping[str, str] = {
    "NOT": 'there is no "!"; compare with == false',
    "SUB": 'there is no "-"; a negative number cannot be written',
    "MUL": 'there is no "*"',
    "QUO": 'there is no "/"',
    "REM": 'there is no "%"',
    "AND": 'there is no "&"; to combine conditions write &&',
    "XOR": 'there is no "^"',
    "SHL": 'there is no "<<"',
    "SHR": 'there is no ">>"',
    "AND_NOT": 'there is no "&^"',
}
"""What to write for an operator that Go has and this language lacks."""
