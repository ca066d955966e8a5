"""Conditions of routes, and which of two goes first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from mizzen.api import virtualservice as vs
from mizzen.api.gatewayapi.grpcroute import GRPCMethodMatch
from mizzen.api.gatewayapi.httproute import (
    HTTPHeaderMatch,
    HTTPPathMatch,
    HTTPQueryParamMatch,
    HTTPRouteMatch,
    MatchType,
    PathMatchType,
)

_RANK = {PathMatchType.EXACT: 0, PathMatchType.REGULAR_EXPRESSION: 1, PathMatchType.PATH_PREFIX: 2}


class Precedence(NamedTuple):
    """Sorts what goes first to the front; the specification leaves the place of regular expressions open."""

    path: int
    path_length: int
    method: bool
    headers: int
    params: int

    @classmethod
    def of(cls, match: HTTPRouteMatch) -> Precedence:
        path = match.path
        length = len(path.value.rstrip("/") if path.type is PathMatchType.PATH_PREFIX else path.value)
        return cls(_RANK[path.type], -length, match.method is None, -len(match.headers), -len(match.query_params))


class Path(NamedTuple):
    """One condition on a path, and what of it a new prefix replaces."""

    test: vs.StringMatch | None
    is_whole: bool
    """Whether all of the path is what the match names."""

    def replaced(self, prefix: str) -> str:
        """What stands for the matched prefix when `prefix` does."""
        stem = prefix.rstrip("/")
        return stem or "/" if self.is_whole else f"{stem}/"


def paths(match: HTTPPathMatch) -> Iterator[Path]:
    """The conditions of which one must hold: a prefix counts whole segments, which are two cases."""
    if match.type is PathMatchType.EXACT:
        yield Path(vs.StringMatch(exact=match.value), True)
    elif match.type is PathMatchType.REGULAR_EXPRESSION:
        yield Path(vs.StringMatch(regex=match.value), True)
    else:
        stem = match.value.rstrip("/")
        if stem:
            yield Path(vs.StringMatch(exact=stem), True)
        yield Path(vs.StringMatch(prefix=f"{stem}/"), False)


def request(match: HTTPRouteMatch, path: Path, port: int | None) -> vs.HTTPMatchRequest:
    """The match with one of its paths; of a header that is named twice, the first counts."""
    return vs.HTTPMatchRequest(
        uri=path.test,
        method=vs.StringMatch(exact=match.method.value) if match.method else None,
        headers={test.name.lower(): _text(test) for test in reversed(match.headers)},
        query_params={test.name: _text(test) for test in reversed(match.query_params)},
        port=port,
    )


def _text(test: HTTPHeaderMatch | HTTPQueryParamMatch) -> vs.StringMatch:
    if test.type is MatchType.EXACT:
        return vs.StringMatch(exact=test.value)
    return vs.StringMatch(regex=test.value)


def grpc_path(method: GRPCMethodMatch | None) -> HTTPPathMatch:
    """The path of a gRPC method."""
    if method is None:
        return HTTPPathMatch()
    if method.type is MatchType.EXACT and method.service:
        if method.method:
            return HTTPPathMatch(type=PathMatchType.EXACT, value=f"/{method.service}/{method.method}")
        return HTTPPathMatch(value=f"/{method.service}")
    exact = method.type is MatchType.EXACT
    service = re.escape(method.service) if exact else method.service
    name = re.escape(method.method) if exact else method.method
    value = f"/(?:{service or '[^/]+'})/(?:{name or '[^/]+'})"
    return HTTPPathMatch(type=PathMatchType.REGULAR_EXPRESSION, value=value)
