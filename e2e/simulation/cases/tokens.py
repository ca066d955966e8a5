"""Tokens of users at a gateway: which are good, where they are, and what becomes of them."""

from __future__ import annotations

import json
import time
from typing import Any

from joserfc.jwk import OctKey
from simulation.cases.base import SERVICES, case
from simulation.cases.gateways import INGRESS
from simulation.harness.call import Call, Case
from simulation.harness.world import World, gateway
from support.tokens import HOUR, Issuer, encoded, sign

ANNA = Issuer(
    "https://anna.example.com", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
)
BERT = Issuer("https://bert.example.com", "ES256")
FALSE = Issuer("https://anna.example.com", "RS256", "ES256", "EdDSA")
"""Says it is Anna, with other keys under the same names."""
NOBODY = Issuer("https://nobody.example.com", "ES256")

EDGE = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: default}
spec:
  hosts: [shop.com]
  gateways: [edge]
  http:
  - name: by-group
    match: [{headers: {"@request.auth.claims.group": {exact: admin}}, uri: {prefix: /claims}}]
    route: [{destination: {host: reviews, subset: v1}}]
  - name: by-nested
    match: [{headers: {"@request.auth.claims[realm][roles]": {prefix: dev}}, uri: {prefix: /claims}}]
    route: [{destination: {host: reviews, subset: v2}}]
  - name: by-scope
    match: [{headers: {"@request.auth.claims.scope": {exact: write}}, uri: {prefix: /claims}}]
    route: [{destination: {host: ratings}}]
  - name: without-sub
    match: [{withoutHeaders: {"@request.auth.claims.sub": {regex: ".+"}}, uri: {prefix: /claims}}]
    route: [{destination: {host: reviews, subset: v3}}]
  - name: all
    route: [{destination: {host: reviews}}]
---
"""


def rule(issuer: Issuer, **fields: Any) -> dict[str, Any]:
    return {"issuer": issuer.name, "jwks": issuer.jwks, **fields}


def world(name: str, *rules: dict[str, Any], more: str = "") -> World:
    spec = {"selector": {"matchLabels": {"istio": "ingressgateway"}}, "jwtRules": list(rules)}
    policy = {
        "apiVersion": "security.istio.io/v1",
        "kind": "RequestAuthentication",
        "metadata": {"name": "users", "namespace": "istio-system"},
        "spec": spec,
    }
    return World(name, f"{SERVICES}{INGRESS}{EDGE}{more}{json.dumps(policy)}\n", proxy=gateway())


COPIES = [
    {"header": f"x-{claim.replace('.', '-')}", "claim": claim} for claim in ("sub", "n", "f", "b", "l", "a.b", "a.c")
]
WORLDS = (
    world("tokens", rule(ANNA)),
    world("tokens for an audience", rule(ANNA, audiences=["shop", "https://books/"])),
    world(
        "tokens in places",
        rule(
            ANNA,
            fromHeaders=[{"name": "x-token", "prefix": "Token "}, {"name": "x-bare"}],
            fromParams=["token"],
            fromCookies=["session"],
        ),
    ),
    world("tokens copied", rule(ANNA, outputPayloadToHeader="x-payload", outputClaimToHeaders=COPIES)),
    world("tokens forwarded", rule(ANNA, forwardOriginalToken=True)),
    world("tokens of two", rule(ANNA), rule(BERT)),
    world("tokens of two in two places", rule(ANNA), rule(BERT, fromHeaders=[{"name": "x-bert"}])),
    world("tokens of whom nobody knows", {"issuer": ANNA.name, "jwksUri": "https://anna.example.com/keys"}),
)


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def refused(status: int, body: str) -> dict[str, Any]:
    return {"kind": "respond", "status": status, "body": body}


def head(**fields: Any) -> str:
    """The first part of a token."""
    return encoded(json.dumps(fields).encode())


def _altered(token: str) -> str:
    """With the claims of another user."""
    header, _, signature = token.split(".")
    return ".".join((header, encoded(json.dumps({"iss": ANNA.name, "sub": "root"}).encode()), signature))


def _confused() -> str:
    """Signed with HMAC, and Anna's public keys, which everybody knows, as its secret."""
    return sign({"alg": "HS256"}, {"iss": ANNA.name, "sub": "root"}, "HS256", OctKey.import_key(ANNA.jwks))


GOOD = ANNA.token()
NOW = int(time.time())
HEADER = head(alg="RS256")
PAYLOAD = encoded(json.dumps({"iss": ANNA.name}).encode())
THREE = "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections"
BAD: dict[str, tuple[str, int, str]] = {
    "expired": (ANNA.token(exp=NOW - HOUR), 401, "Jwt is expired"),
    "not yet valid": (ANNA.token(nbf=NOW + HOUR), 401, "Jwt not yet valid"),
    "another issuer": (NOBODY.token(), 401, "Jwt issuer is not configured"),
    "no issuer": (ANNA.token(iss=None), 401, "Jwt issuer is not configured"),
    "another key": (FALSE.token("RS256"), 401, "Jwt verification fails"),
    "another elliptic key": (FALSE.token("ES256"), 401, "Jwt verification fails"),
    "another Edwards key": (FALSE.token("EdDSA"), 401, "Jwt verification fails"),
    "unknown key id": (ANNA.token(header={"kid": "old"}), 401, "Jwks doesn't have key to match kid or alg from Jwt"),
    "key of another algorithm": (
        ANNA.token("RS256", header={"kid": "ES256"}),
        401,
        "Jwks doesn't have key to match kid or alg from Jwt",
    ),
    "altered": (_altered(GOOD), 401, "Jwt verification fails"),
    "alg none": (head(alg="none") + f".{PAYLOAD}.", 401, THREE),
    "alg none with a signature": (
        head(alg="none") + f".{PAYLOAD}.AA",
        401,
        "Jwt header [alg] is not supported",
    ),
    "public key as a secret": (_confused(), 401, "Jwks doesn't have key to match kid or alg from Jwt"),
    "no alg": (head() + f".{PAYLOAD}.AA", 401, "Jwt header [alg] field is required and must be a string"),
    "kid is a number": (
        head(alg="RS256", kid=1) + f".{PAYLOAD}.AA",
        401,
        "Jwt header [kid] field is not a string",
    ),
    "one part": ("abc", 401, THREE),
    "four parts": (f"{GOOD}.AAAA", 401, THREE),
    "header is no Base64": (f"a%%.{PAYLOAD}.AA", 401, "Jwt header is an invalid Base64url encoded"),
    "header is no JSON": (f"{encoded(b'x')}.{PAYLOAD}.AA", 401, "Jwt header is an invalid JSON"),
    "payload is no Base64": (f"{HEADER}.%%%.AA", 401, "Jwt payload is an invalid Base64url encoded"),
    "payload is no JSON": (f"{HEADER}.{encoded(b'{')}.AA", 401, "Jwt payload is an invalid JSON"),
    "payload is a list": (f"{HEADER}.{encoded(b'[]')}.AA", 401, "Jwt payload is an invalid JSON"),
    "signature is no Base64": (f"{HEADER}.{PAYLOAD}.%%%", 401, "Jwt signature is an invalid Base64url encoded"),
    "subject is a number": (ANNA.token(sub=1), 401, "Jwt payload [sub] field is not a string"),
    "end is a text": (ANNA.token(exp="soon"), 401, "Jwt payload [exp] field is not an integer"),
    "end is negative": (ANNA.token(exp=-1), 401, "Jwt payload [exp] field is not a positive 64 bit integer"),
    "audience is a number": (ANNA.token(aud=[1]), 401, "Jwt payload [aud] field is not a string or string list"),
}
VALID = {
    **{f"signed with {name}": ANNA.token(name) for name in ("RS384", "RS512", "PS256", "PS384", "PS512")},
    **{f"signed with {name}": ANNA.token(name) for name in ("ES256", "ES384", "ES512", "EdDSA")},
    "without a key id": ANNA.token("ES384", header={"kid": ""}),
    "without an end": ANNA.token(exp=None),
    "with a beginning": ANNA.token(nbf=NOW - 1, iat=NOW),
    "with a fraction of a second": ANNA.token(exp=NOW + HOUR + 0.5),
    "without a user": ANNA.token(sub=None),
}


def ask(
    world_name: str, name: str, headers: dict[str, str], path: str = "/", /, method: str = "GET", **expected: Any
) -> Case:
    call = Call("shop.com", path, method, headers, port=8080)
    return case(world_name, name, call, **(expected or {"kind": "forward", "route": "all"}))


def _bad() -> tuple[Case, ...]:
    error = 'Bearer realm="http://shop.com/a?b=c", error="invalid_token"'
    found = []
    for name, (token, status, body) in BAD.items():
        expected = refused(status, body) | {"response_headers": {"www-authenticate": error}}
        found.append(ask("tokens", name, bearer(token), "/a?b=c", **expected))
    return tuple(found)


def _places() -> tuple[Case, ...]:
    world_name = "tokens in places"
    gone = {"kind": "forward", "route": "all", "path": "/a?b=c"}
    return (
        ask(
            world_name,
            "a header with its prefix",
            {"x-token": f"Token {GOOD}"},
            "/a?b=c",
            **gone,
            request_headers={"x-token": None},
        ),
        ask(world_name, "a header", {"x-bare": GOOD}, request_headers={"x-bare": None}),
        ask(world_name, "a parameter", {}, f"/a?b=c&token={GOOD}", **gone),
        ask(world_name, "a lone parameter", {}, f"/a?token={GOOD}", kind="forward", path="/a"),
        ask(world_name, "a cookie", {"cookie": f"a=b; session={GOOD}; c=d"}, kind="forward", route="all"),
        ask(world_name, "all places", {"x-bare": GOOD, "cookie": f"session={GOOD}"}, f"/a?b=c&token={GOOD}", **gone),
        ask(world_name, "another prefix", {"x-token": f"token {FALSE.token()}"}, kind="forward"),
        ask(world_name, "the usual header is none of its places", bearer("x"), request_headers=bearer("x")),
        ask(
            world_name,
            "a bad header beside a good parameter",
            {"x-bare": "x"},
            f"/?token={GOOD}",
            **refused(401, THREE),
        ),
        ask(
            world_name,
            "a good header beside a bad cookie",
            {"x-bare": GOOD, "cookie": "session=x"},
            **refused(401, THREE),
        ),
        ask(world_name, "an empty parameter", {}, "/?token=", **refused(401, THREE)),
        ask("tokens", "the usual parameter", {}, f"/?access_token={GOOD}", kind="forward", path="/"),
        ask("tokens", "the prefix in other letters", {"authorization": f"bearer {GOOD}"}, kind="forward"),
        ask(
            "tokens", "another scheme", {"authorization": "Basic YTpi"}, request_headers={"authorization": "Basic YTpi"}
        ),
        ask("tokens", "blanks after the prefix", {"authorization": f"Bearer    {GOOD}"}, kind="forward"),
        ask("tokens", "something before the prefix", {"authorization": f"x Bearer {GOOD}"}, kind="forward"),
    )


def _copies() -> tuple[Case, ...]:
    claims = {"n": 7, "f": 1.5, "b": True, "l": ["x", 1], "a": {"b": "c"}}
    token = ANNA.token(**claims)
    forged = {name["header"]: "forged" for name in COPIES} | {"x-payload": "forged"}
    seen = {
        "x-payload": token.split(".")[1],
        "x-sub": "anna",
        "x-n": "7",
        "x-f": "1.500000",
        "x-b": "true",
        "x-a-b": "c",
    }
    preflight = {"origin": "https://a", "access-control-request-method": "GET"}
    return (
        ask(
            "tokens copied",
            "claims",
            bearer(token) | forged,
            request_headers=seen | {"x-a-c": None, "authorization": None},
        ),
        ask("tokens copied", "a client's own copies", forged, request_headers=dict.fromkeys(forged)),
        ask("tokens forwarded", "a good one", bearer(GOOD), request_headers=bearer(GOOD)),
        ask("tokens", "none of its business", bearer(GOOD), request_headers={"authorization": None}),
        ask("tokens", "a preflight", bearer("x") | preflight, "/", "OPTIONS", kind="forward"),
        ask("tokens", "an OPTIONS that is no preflight", bearer("x"), "/", "OPTIONS", **refused(401, THREE)),
    )


def _of_several() -> tuple[Case, ...]:
    two, places = "tokens of two", "tokens of two in two places"
    return (
        ask(two, "the first one's", bearer(GOOD)),
        ask(two, "the second one's", bearer(BERT.token())),
        ask(two, "none", {}),
        ask(two, "another's", bearer(NOBODY.token()), **refused(401, "Jwt issuer is not configured")),
        ask(two, "a false one", bearer(FALSE.token()), **refused(401, "Jwt verification fails")),
        ask(two, "a good one and a bad one", bearer(GOOD), "/?access_token=x", **refused(401, THREE)),
        ask(places, "one in each", bearer(GOOD) | {"x-bert": BERT.token()}),
        ask(places, "a bad one beside a good one of another place", bearer("x") | {"x-bert": BERT.token()}),
        ask(places, "a bad one alone", {"x-bert": "x"}, **refused(401, THREE)),
        ask(places, "one in the other's place", {"x-bert": GOOD}, **refused(401, "Jwt issuer is not configured")),
        ask(
            "tokens of whom nobody knows",
            "a good one",
            bearer(GOOD),
            **refused(401, "Jwt verification fails"),
        ),
        ask(
            "tokens of whom nobody knows",
            "without a key id",
            bearer(ANNA.token(header={"kid": ""})),
            **refused(401, "Jwt verification fails"),
        ),
        ask("tokens of whom nobody knows", "none", {}),
        ask("tokens for an audience", "for it", bearer(ANNA.token(aud=["x", "https://shop/"]))),
        ask("tokens for an audience", "for the other", bearer(ANNA.token(aud="books"))),
        ask(
            "tokens for an audience",
            "for another",
            bearer(ANNA.token(aud="x")),
            **refused(403, "Audiences in Jwt are not allowed"),
        ),
        ask("tokens for an audience", "for nobody", bearer(GOOD), **refused(403, "Audiences in Jwt are not allowed")),
    )


CASES = (
    ask("tokens", "none", {}),
    ask("tokens", "a good one", bearer(GOOD)),
    *(ask("tokens", name, bearer(token)) for name, token in VALID.items()),
    *_bad(),
    *_places(),
    *_copies(),
    *_of_several(),
)
