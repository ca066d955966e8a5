"""The filter jwt_authn: places, requirements, times, audiences, what the endpoint is told, and what is remembered."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey
from token_support import EVERYTHING, KEY, ME, NOW, bearing, jwks, plan, provider, request, sign, token

from mizzen.proxy.engine.jwt import failures
from mizzen.proxy.engine.jwt.cache import MAX_SIZE
from mizzen.proxy.engine.jwt.filter import TokenFilter, bind_tokens
from mizzen.proxy.engine.jwt.keys import KeySet
from mizzen.proxy.engine.jwt.plan import (
    AllOf,
    AllowMissing,
    AllowMissingOrFailed,
    AnyOf,
    JwtPlan,
    Requirement,
    RequirementRule,
    TokenOf,
)
from mizzen.proxy.engine.jwt.provider import audience_names, claim_text
from mizzen.proxy.engine.match_plan import PathMatch, RouteMatch

GOOD = token()
OTHER_KEY = ECKey.generate_key("P-256")
YOU = "https://you.example.com"
YOURS = sign({"alg": "ES256"}, {"iss": YOU}, OTHER_KEY)
FALSE = sign({"alg": "ES256"}, {"iss": ME}, OTHER_KEY)


def check(text: str, now: float = NOW, /, **fields: Any) -> str | None:
    return TokenFilter(plan(provider(**fields))).failure(bearing(text), now)


def test_a_good_token_leaves_its_claims_and_is_taken_out() -> None:
    asked = bearing(GOOD)
    assert TokenFilter(plan()).failure(asked, NOW) is None
    assert asked.claims == {"iss": ME, "sub": "anna", "exp": NOW + 3600}
    assert asked.head == {}


def test_no_token_is_no_fault_and_says_nothing() -> None:
    asked = request(("accept", "x"))
    assert TokenFilter(plan()).failure(asked, NOW) is None
    assert asked.claims is None
    assert list(asked.head) == [b"accept"]


def test_a_bad_token_changes_nothing() -> None:
    asked = bearing(FALSE)
    assert TokenFilter(plan()).failure(asked, NOW) == failures.VERIFICATION
    assert asked.claims is None
    assert b"authorization" in asked.head


@pytest.mark.parametrize(
    ("claims", "at", "failure"),
    [
        ({"exp": NOW}, NOW + 60, None),
        ({"exp": NOW}, NOW + 60.9, None),
        ({"exp": NOW}, NOW + 61, failures.EXPIRED),
        ({"nbf": NOW}, NOW - 60, None),
        ({"nbf": NOW}, NOW - 60.1, failures.NOT_YET_VALID),
        ({"exp": 0}, NOW, failures.EXPIRED),
    ],
)
def test_clocks_may_differ_by_a_minute(claims: Any, at: float, failure: str | None) -> None:
    assert check(token(**claims), at) == failure


def test_another_difference_of_clocks() -> None:
    assert check(token(exp=NOW), NOW + 61, clock_skew=120) is None


@pytest.mark.parametrize(
    ("wanted", "stated", "good"),
    [
        (["a", "b"], "b", True),
        (["a"], ["x", "a"], True),
        (["a"], "A", False),
        (["a"], None, False),
        (["https://a/"], "a", True),
        (["a"], "http://a/", True),
        (["a"], [], False),
        ([], "x", True),
    ],
)
def test_audiences(wanted: list[str], stated: Any, good: bool) -> None:
    text = token() if stated is None else token(aud=stated)
    assert check(text, audiences=tuple(wanted)) == (None if good else failures.AUDIENCE_NOT_ALLOWED)


def test_audiences_are_compared_as_envoy_does() -> None:
    assert audience_names(["https://a/b/", "http://a//", "x", "", "ftp://a/"]) == {"a/b", "a/", "x", "", "ftp://a"}


PLACES = {"headers": (("X-Token", "Token "), ("x-bare", "")), "params": ("t", "u"), "cookies": ("c",)}


@pytest.mark.parametrize(
    ("headers", "path", "left", "path_left"),
    [
        ([("X-TOKEN", f"Token {GOOD}")], "/", [], "/"),
        ([("x-bare", GOOD)], "/", [], "/"),
        ([], f"/?a=1&t={GOOD}&b=%20", [], "/?a=1&b=%20"),
        ([], f"/?t={GOOD}&t=x", [], "/"),
        ([], f"/?%74={GOOD}", [], "/"),
        ([], f"/?u={GOOD}&t={GOOD}&v", [], "/?v"),
        ([("cookie", f'a=b;c="{GOOD}"')], "/", [b"cookie"], "/"),
        ([("cookie", f"c={GOOD}; c=x")], "/", [b"cookie"], "/"),
    ],
)
def test_places(headers: Any, path: str, left: Any, path_left: str) -> None:
    asked = request(*headers, path=path)
    assert TokenFilter(plan(provider(**PLACES))).failure(asked, NOW) is None
    assert asked.claims["sub"] == "anna"
    assert (list(asked.head), asked.path) == (left, path_left.encode())


@pytest.mark.parametrize(
    ("headers", "path"),
    [
        ([("x-bare", GOOD), ("x-token", "Token x")], "/"),
        ([("x-bare", GOOD), ("x-bare", "x")], "/"),
        ([("x-bare", "")], "/"),
        ([("x-bare", GOOD)], "/?t="),
        ([("x-bare", GOOD), ("cookie", "c=x")], "/"),
    ],
)
def test_one_bad_token_spoils_all(headers: Any, path: str) -> None:
    assert TokenFilter(plan(provider(**PLACES))).failure(request(*headers, path=path), NOW) is not None


TEXT = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"))


@settings(deadline=None)  # it may be a busy machine
@given(TEXT, TEXT, TEXT)
def test_no_header_and_no_path_is_too_much(header: str, cookie: str, query: str) -> None:
    asked = request(("x-bare", header), ("cookie", cookie), path=f"/?{query}")
    assert TokenFilter(plan(provider(**PLACES))).failure(asked, NOW) is not None


ANY = AnyOf(
    (
        TokenOf("me"),
        TokenOf("you"),
        AllOf((AnyOf((TokenOf("me"), AllowMissing())), AnyOf((TokenOf("you"), AllowMissing())))),
    )
)
BOTH = AllOf((TokenOf("me"), TokenOf("you")))
REQUIREMENTS: list[tuple[Requirement, str, str, str | None]] = [
    (TokenOf("me"), "", "", failures.MISSING),
    (TokenOf("me"), GOOD, "", None),
    (TokenOf("me"), YOURS, "", failures.UNKNOWN_ISSUER),
    (TokenOf("me", ("x",)), GOOD, "", failures.AUDIENCE_NOT_ALLOWED),
    (ANY, "", "", None),
    (ANY, GOOD, "", None),
    (ANY, "", YOURS, None),
    (ANY, FALSE, YOURS, None),
    (ANY, FALSE, "", failures.VERIFICATION),
    (ANY, "", "x", failures.BAD_FORMAT),
    (BOTH, GOOD, YOURS, None),
    (BOTH, GOOD, "", failures.MISSING),
    (BOTH, "", YOURS, failures.MISSING),
    (AllowMissing(), "", "", None),
    (AllowMissing(), GOOD, YOURS, None),
    (AllowMissing(), GOOD, "x", failures.BAD_FORMAT),
    (AllowMissing(), "", GOOD, failures.UNKNOWN_ISSUER),
    (AnyOf((AllowMissing(),)), "x", "", failures.BAD_FORMAT),
    (AllowMissingOrFailed(), "x", "y", None),
    (AnyOf((TokenOf("me"), AllowMissingOrFailed())), FALSE, "", None),
]


@pytest.mark.parametrize(("requirement", "mine", "yours", "failure"), REQUIREMENTS)
def test_requirements(requirement: Requirement, mine: str, yours: str, failure: str | None) -> None:
    you = provider("you", issuer=YOU, keys=jwks(OTHER_KEY), headers=(("x-you", ""),), payload_key="yours")
    tokens = TokenFilter(plan(provider(headers=(("x-me", ""),)), you, requirement=requirement))
    headers = [(name, text) for name, text in (("x-me", mine), ("x-you", yours)) if text]
    assert tokens.failure(request(*headers), NOW) == failure


def test_failures_allowed_are_not_believed() -> None:
    asked = bearing(FALSE)
    assert TokenFilter(plan(requirement=AllowMissingOrFailed())).failure(asked, NOW) is None
    assert asked.claims is None


def test_the_first_rule_that_matches_decides() -> None:
    rules = (
        RequirementRule(RouteMatch(PathMatch("exact", "/open")), None),
        RequirementRule(RouteMatch(PathMatch("prefix", "/shut")), TokenOf("me")),
    )
    tokens = TokenFilter(JwtPlan((provider(),), rules))
    assert tokens.failure(request(path="/open?x"), NOW) is None
    assert tokens.failure(request(path="/shut/x"), NOW) == failures.MISSING
    assert tokens.failure(request(path="/else"), NOW) is None


def test_a_requirement_of_nobody() -> None:
    with pytest.raises(ValueError, match="'you' is not configured"):
        TokenFilter(JwtPlan((provider(),), (RequirementRule(EVERYTHING, TokenOf("you")),)))


def test_a_provider_of_any_issuer() -> None:
    assert check(GOOD, issuer="") is None
    assert check(sign({"alg": "ES256"}, {}), issuer="") is None


COPIES = (("X-User", "sub"), ("x-role", "realm.role"), ("x-user", "n"))


def test_what_the_endpoint_is_told() -> None:
    asked = request(
        ("authorization", f"Bearer {token(realm={'role': 'a'}, n=1)}"), ("x-user", "forged"), ("X-Role", "forged")
    )
    fields = {"claim_headers": COPIES, "payload_header": "x-payload", "forward": True}
    assert TokenFilter(plan(provider(**fields))).failure(asked, NOW) is None
    assert asked.header(b"x-user") == b"anna,1"
    assert asked.header(b"x-role") == b"a"
    assert asked.header(b"x-payload") == token(realm={"role": "a"}, n=1).split(".")[1].encode()
    assert b"authorization" in asked.head


@pytest.mark.parametrize(
    "headers", [[], [("authorization", "Bearer x")], [("origin", "a"), ("access-control-request-method", "GET")]]
)
def test_forged_copies_are_taken_out_whatever_comes_of_the_token(headers: Any) -> None:
    asked = request(("x-user", "forged"), ("x-payload", "forged"), *headers, method=b"OPTIONS")
    fields = {"claim_headers": COPIES, "payload_header": "x-payload"}
    TokenFilter(plan(provider(**fields), bypass_cors_preflight=True)).failure(asked, NOW)
    assert not {b"x-user", b"x-payload"} & set(asked.head)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", b"a"),
        ("\u00e9", "\u00e9".encode()),
        ("a\r\nx-admin: yes", b""),
        ("", b""),
        (True, b"true"),
        (False, b"false"),
        (7, b"7"),
        (7.0, b"7"),
        (1.5, b"1.500000"),
        (-3, b"-3.000000"),
        (2**64, b"18446744073709551616.000000"),
        pytest.param(10**400, b"", id="huge"),
        (None, b""),
        ([1, "a"], b"WzEsImEiXQ=="),
        ({"a": 1}, b"eyJhIjoxfQ=="),
    ],
)
def test_claims_as_headers(value: Any, text: bytes) -> None:
    assert claim_text({"a": {"b": value}}, "a.b") == text
    assert claim_text({"a": value}, "a.b.c") == b""


def test_words_are_a_list() -> None:
    asked = bearing(token(scope="read  write", roles=["a"], permission=1))
    assert TokenFilter(plan(provider(spaced_claims=("scope", "roles", "permission")))).failure(asked, NOW) is None
    assert [asked.claims[name] for name in ("scope", "roles", "permission")] == [["read", "write"], ["a"], 1]


@pytest.mark.parametrize(
    ("failure", "status", "challenge"),
    [
        (failures.MISSING, 401, b'Bearer realm="http://shop.com/a?b"'),
        (failures.EXPIRED, 401, b'Bearer realm="http://shop.com/a?b", error="invalid_token"'),
        (failures.AUDIENCE_NOT_ALLOWED, 403, b'Bearer realm="http://shop.com/a?b", error="invalid_token"'),
    ],
)
def test_answers(failure: str, status: int, challenge: bytes) -> None:
    local = TokenFilter(plan()).refusal(request(path="/a?b"), failure)
    assert (local.status, local.body, local.lines) == (status, failure.encode(), (b"www-authenticate: " + challenge,))
    assert local.details == f"jwt_authn_access_denied{{{failure.replace(' ', '_')}}}"
    silent = TokenFilter(plan(strip_failure_response=True)).refusal(request(), failure)
    assert (silent.status, silent.body, silent.lines) == (status, b"", ())


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Signatures that were looked at."""
    seen: list[str] = []
    real = KeySet.failure

    def failure(self: KeySet, read: Any) -> str | None:
        seen.append(read.issuer)
        return real(self, read)

    monkeypatch.setattr(KeySet, "failure", failure)
    return seen


def test_a_token_is_verified_once(verified: list[str]) -> None:
    tokens = TokenFilter(plan())
    for _ in range(3):
        assert tokens.failure(bearing(GOOD), NOW) is None
    assert verified == [ME]


def test_a_bad_token_is_not_remembered(verified: list[str]) -> None:
    tokens = TokenFilter(plan())
    for _ in range(3):
        assert tokens.failure(bearing(FALSE), NOW) == failures.VERIFICATION
    assert len(verified) == 3
    assert len(tokens.cache) == 0


def test_what_is_remembered_expires_and_is_still_judged() -> None:
    tokens = TokenFilter(plan())
    assert tokens.failure(bearing(GOOD), NOW) is None
    assert len(tokens.cache) == 1
    assert tokens.failure(bearing(GOOD), NOW + 3661) == failures.EXPIRED
    assert len(tokens.cache) == 0


def test_who_has_signed_is_remembered_for_each_provider() -> None:
    """A token that one provider has verified says nothing to another one with other keys."""
    other = provider("other", keys=jwks(OTHER_KEY))
    tokens = TokenFilter(plan(provider(), other, requirement=AnyOf((TokenOf("me"), AllowMissing()))))
    assert tokens.failure(bearing(GOOD), NOW) is None
    both = TokenFilter(plan(provider(), other, requirement=AllOf((TokenOf("me"), TokenOf("other")))))
    for _ in range(2):
        assert both.failure(bearing(GOOD), NOW) == failures.VERIFICATION


def test_memory_is_bounded() -> None:
    tokens = TokenFilter(plan())
    assert tokens.failure(bearing(token(pad="x" * MAX_SIZE)), NOW) is None
    assert len(tokens.cache) == 0
    tokens.cache._limit = 2
    for name in ("a", "b", "a", "c"):
        assert tokens.failure(bearing(token(sub=name)), NOW) is None
    assert len(tokens.cache) == 2


def test_new_keys_forget_what_the_old_ones_have_signed() -> None:
    old, same = bind_tokens(plan()), bind_tokens(plan())
    assert old is same
    assert old.failure(bearing(GOOD), NOW) is None
    new = bind_tokens(plan(provider(keys=jwks(OTHER_KEY))))
    assert new.failure(bearing(GOOD), NOW) == failures.VERIFICATION
    assert KEY is not OTHER_KEY
