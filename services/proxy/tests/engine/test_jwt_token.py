"""Tokens as they are written, and whose keys have signed them: the RFCs' own examples, and everything else."""

from __future__ import annotations

import hmac
import json
import string
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from token_support import KEY, ME, NOW, bearing, encoded, jwks, plan, request, sign, token

from mizzen.proxy.engine.jwt import failures
from mizzen.proxy.engine.jwt.filter import TokenFilter
from mizzen.proxy.engine.jwt.keys import read_keys
from mizzen.proxy.engine.jwt.token import ALGORITHMS, Malformed, parse

PAYLOAD = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
HMAC_SECRET = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
HMAC_SIGNATURE = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
RSA_MODULUS = (
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yR"
    "T-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXB"
    "dQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9ia"
    "GNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
)
RSA_SIGNATURE = (
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9"
    "uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB"
    "_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rq"
    "Vt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
)
EC_X, EC_Y = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
EC_SIGNATURE = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
RFC_7515 = {
    "A.1": (
        f"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{PAYLOAD}.{HMAC_SIGNATURE}",
        {"kty": "oct", "k": HMAC_SECRET},
    ),
    "A.2": (f"eyJhbGciOiJSUzI1NiJ9.{PAYLOAD}.{RSA_SIGNATURE}", {"kty": "RSA", "n": RSA_MODULUS, "e": "AQAB"}),
    "A.3": (
        f"eyJhbGciOiJFUzI1NiJ9.{PAYLOAD}.{EC_SIGNATURE}",
        {"kty": "EC", "crv": "P-256", "x": EC_X, "y": EC_Y},
    ),
}


@pytest.mark.parametrize(("text", "key"), RFC_7515.values(), ids=RFC_7515)
def test_the_examples_of_rfc_7515(text: str, key: dict[str, str]) -> None:
    read = parse(text.encode())
    assert (read.issuer, read.expires, read.claims["http://example.com/is_root"]) == ("joe", 1300819380, True)
    assert read_keys(json.dumps({"keys": [key]})).failure(read) is None
    for other, (_, other_key) in RFC_7515.items():
        if RFC_7515[other][0] != text:
            assert read_keys(json.dumps({"keys": [other_key]})).failure(read) == failures.VERIFICATION


def test_the_example_of_rfc_7519_without_a_signature_is_none() -> None:
    with pytest.raises(Malformed, match="two dots"):
        parse(f"eyJhbGciOiJub25lIn0.{PAYLOAD}.".encode())


def head(**fields: Any) -> str:
    return encoded(json.dumps(fields).encode())


HEADER = head(alg="ES256")
MALFORMED = [
    ("", failures.BAD_FORMAT),
    ("a.b", failures.BAD_FORMAT),
    ("a..b.c", failures.BAD_FORMAT),
    (".a.b", failures.BAD_FORMAT),
    ("a.b.c.d", failures.BAD_FORMAT),
    (f"{HEADER}=.e30.AA", failures.HEADER_BASE64),  # one `=` too few
    (f"{HEADER} .e30.AA", failures.HEADER_BASE64),
    ("a+b/.e30.AA", failures.HEADER_BASE64),
    ("e30.e30.AA", failures.HEADER_ALGORITHM),
    (f"{encoded(b'[1]')}.e30.AA", failures.HEADER_JSON),
    (f"{encoded(bytes([255]))}.e30.AA", failures.HEADER_JSON),
    (f"{encoded(b'[' * 100_000)}.e30.AA", failures.HEADER_JSON),
    (f"{head(alg='none')}.e30.AA", failures.HEADER_UNSUPPORTED_ALGORITHM),
    (f"{head(alg='NONE')}.e30.AA", failures.HEADER_UNSUPPORTED_ALGORITHM),
    (f"{head(alg='es256')}.e30.AA", failures.HEADER_UNSUPPORTED_ALGORITHM),
    (f"{head(alg=['ES256'])}.e30.AA", failures.HEADER_ALGORITHM),
    (f"{head(alg='ES256', kid=None)}.e30.AA", failures.HEADER_KEY_ID),
    (f"{HEADER}.e30.A", failures.SIGNATURE_BASE64),
    (f"{HEADER}.e30.AB", failures.SIGNATURE_BASE64),  # bits that mean nothing
    (f"{HEADER}.{encoded(b'{')}.AA", failures.PAYLOAD_JSON),
]
CLAIMS = [
    ({"n": float("nan")}, failures.PAYLOAD_JSON),
    ({"sub": "\ud800"}, failures.PAYLOAD_JSON),
    ({"iss": 1}, failures.not_a_string("iss")),
    ({"sub": None}, failures.not_a_string("sub")),
    ({"jti": []}, failures.not_a_string("jti")),
    ({"exp": True}, failures.not_an_integer("exp")),
    ({"exp": "1"}, failures.not_an_integer("exp")),
    ({"nbf": -1}, failures.out_of_range("nbf")),
    ({"iat": 2**64}, failures.out_of_range("iat")),
    ({"exp": float("inf")}, failures.PAYLOAD_JSON),
    ({"aud": {"a": 1}}, failures.AUDIENCE_TYPE),
    ({"aud": ["a", 1]}, failures.AUDIENCE_TYPE),
]


@pytest.mark.parametrize(("text", "failure"), MALFORMED)
def test_what_is_no_token(text: str, failure: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse(text.encode())
    assert str(caught.value) == failure


@pytest.mark.parametrize(("claims", "failure"), CLAIMS)
def test_claims_of_the_wrong_kind(claims: Any, failure: str) -> None:
    assert TokenFilter(plan()).failure(bearing(token(**claims)), NOW) == failure


def test_padding_is_no_fault() -> None:
    header, payload, signature = token(a="x").split(".")
    padded = f"{header}.{payload}{'=' * (-len(payload) % 4)}.{signature}"
    assert parse(padded.encode()).claims["a"] == "x"


TOKENS = TokenFilter(plan())
GOOD = token()
CHARACTERS = string.ascii_letters + string.digits + "-_.="


@settings(deadline=None)  # it may be a busy machine
@given(st.integers(0, len(GOOD) - 1), st.sampled_from(CHARACTERS), st.sampled_from(["put", "insert", "drop", "cut"]))
def test_no_change_of_a_token_goes_unnoticed(at: int, character: str, how: str) -> None:
    changed = {
        "put": GOOD[:at] + character + GOOD[at + 1 :],
        "insert": GOOD[:at] + character + GOOD[at:],
        "drop": GOOD[:at] + GOOD[at + 1 :],
        "cut": GOOD[:at],
    }[how]
    if changed == GOOD:
        return
    # Padding is another way to write the same signature; everything else is another token.
    same = changed.rstrip("=") == GOOD
    outcome = TOKENS.failure(request(("x", "y"), path=f"/?access_token={changed}"), NOW)
    assert (outcome is None) is same, outcome


@settings(deadline=None)  # it may be a busy machine
@given(st.text(st.characters(max_codepoint=255, exclude_characters="\r\n")))
def test_any_text_in_place_of_a_token_is_refused(text: str) -> None:
    tokens = TokenFilter(plan())
    assert tokens.failure(request(("authorization", f"Bearer .{text}")), NOW) is not None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda each: st.lists(each) | st.dictionaries(st.text(), each),
)
NAMES = st.sampled_from(["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "scope", "x"])


# On a busy machine the first text takes long: Hypothesis learns all letters that there are.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit"]), JSON), st.dictionaries(NAMES, JSON))
def test_whatever_somebody_signs_is_read_or_refused(header: Any, claims: Any) -> None:
    outcome = TokenFilter(plan()).failure(bearing(sign(header | {"alg": "ES256"}, claims | {"iss": ME})), NOW)
    assert outcome is None or isinstance(outcome, str)
    assert TokenFilter(plan()).failure(bearing(sign(header, claims)), NOW) is not None or claims.get("iss") == ME


KEYS = {
    "RS": RSAKey.generate_key(2048),
    "ES256": ECKey.generate_key("P-256"),
    "ES384": ECKey.generate_key("P-384"),
    "ES512": ECKey.generate_key("P-521"),
    "EdDSA": OKPKey.generate_key("Ed25519"),
    "HS": OctKey.generate_key(256),
}


def kind(algorithm: str) -> str:
    return {"RS": "RS", "PS": "RS", "HS": "HS"}.get(algorithm[:2], algorithm)


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_each_algorithm_with_its_key_and_with_all_others(algorithm: str) -> None:
    text = sign({"alg": algorithm}, {}, KEYS[kind(algorithm)], algorithm)
    for name, key in KEYS.items():
        stated = json.dumps({"keys": [key.as_dict(private=name == "HS")]})
        assert (read_keys(stated).failure(parse(text.encode())) is None) is (name == kind(algorithm))


@pytest.mark.parametrize("name", ["RS", "ES256", "EdDSA"])
def test_a_public_key_is_no_secret(name: str) -> None:
    public = KEYS[name].as_dict(private=False)
    for secret in (json.dumps(public), json.dumps({"keys": [public]}), KEYS[name].as_pem(private=False).decode()):
        signed = f"{head(alg='HS256')}.e30"
        signature = hmac.digest(secret.encode(), signed.encode(), "sha256")  # joserfc would not sign with such a secret
        read = parse(f"{signed}.{encoded(signature)}".encode())
        assert read_keys(json.dumps({"keys": [public]})).failure(read) is not None


def test_which_key_is_asked() -> None:
    other = ECKey.generate_key("P-256")
    both = json.dumps({"keys": [{**other.as_dict(), "kid": "a"}, {**KEY.as_dict(), "kid": "b"}]})

    def outcome(keys: str, **header: str) -> str | None:
        return read_keys(keys).failure(parse(sign({"alg": "ES256", **header}, {}).encode()))

    assert outcome(both) is None, "without a key id all are tried"
    assert outcome(both, kid="b") is None
    assert outcome(both, kid="a") == failures.VERIFICATION
    assert outcome(both, kid="c") == failures.NO_MATCHING_KEY
    assert outcome(jwks(), kid="c") is None, "a key without an id fits every id"
    assert outcome(jwks(alg="ES384")) == failures.NO_VALID_KEYS, "a key of P-256 is for no other algorithm"


NO_KEYS = [
    "",
    "[]",
    "{}",
    "[" * 100_000,
    '{"keys": {}}',
    '{"keys": [1, {}, {"kty": 1}]}',
    '{"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]}',
    '{"keys": [{"kty": "RSA", "n": "AA"}]}',
    '{"keys": [{"kty": "OKP", "crv": "X25519", "x": "AA"}]}',
]


@pytest.mark.parametrize("text", NO_KEYS)
def test_key_sets_without_keys(text: str) -> None:
    assert read_keys(text).failure(parse(GOOD.encode())) == failures.NO_VALID_KEYS
