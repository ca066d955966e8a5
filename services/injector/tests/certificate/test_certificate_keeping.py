"""What the Secret holds, step by step."""

from __future__ import annotations

import base64
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from mizzen.injector.certificate.issue import Issued, Pair, sign_by_itself
from mizzen.injector.certificate.keeping import Held, Wanted, is_due, is_urgent, next_content, renewal
from mizzen.injector.certificate.secret import read_secret, secret_data

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
WANTED = Wanted(("injector.mesh.svc", "injector.mesh"), 90 * DAY)


def step(held: Held, day: float, *, known: bool = False, wanted: Wanted = WANTED) -> Held:
    return look(held, wanted, NOW + day * DAY, known=known)


def look(held: Held, wanted: Wanted, now: datetime, *, known: bool) -> Held:
    """With an authority that signs whenever it is asked."""
    issued = sign_by_itself(wanted.hosts, now, wanted.life) if is_due(held, wanted, now) else None
    return next_content(held, wanted, now, known=known, issued=issued)


def first() -> Held:
    return step(Held(), 0)


def test_the_first_certificate_is_served_at_once() -> None:
    held = first()
    assert held.serving is not None
    assert (held.coming, len(held.roots)) == (None, 1)
    certificate = x509.load_pem_x509_certificate(held.serving.chain)
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(held.bundle))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == list(WANTED.hosts)
    assert certificate.not_valid_after_utc == NOW + 90 * DAY


def test_openssl_believes_it_by_its_root_and_only_for_its_names() -> None:
    now = datetime.now(UTC)
    held = look(Held(), WANTED, now, known=False)
    assert held.serving is not None
    assert _handshake(held.serving, held.bundle, "injector.mesh.svc")
    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(held.serving, held.bundle, "other.mesh.svc")
    other = sign_by_itself(WANTED.hosts, now, DAY)
    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(other.pair, held.bundle, "injector.mesh.svc")


def _handshake(pair: Pair, roots: bytes, host: str) -> bool:
    from mizzen.injector.webhook.tls import ServedCertificate

    served = ServedCertificate()
    served.take(pair)
    context = ssl.create_default_context(cadata=roots.decode())
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = served.context.wrap_bio(to_server, to_client, server_side=True)
    client = context.wrap_bio(to_client, to_server, server_hostname=host)
    for side in (client, server, client, server):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return client.getpeercert() is not None


def test_a_renewal_in_its_three_steps() -> None:
    held = first()
    assert step(held, 59.9) is held
    assert held.serving is not None
    assert renewal(held.serving) - NOW < 60 * DAY

    ready = step(held, 60)
    assert ready.serving == held.serving
    assert ready.coming is not None
    assert ready.roots[:1] == held.roots
    assert len(ready.roots) == 2
    assert step(ready, 61) is ready, "nobody may be shown what it cannot verify"

    served = step(ready, 61, known=True)
    assert (served.serving, served.coming, served.roots) == (ready.coming, None, ready.roots)
    assert step(served, 89.9, known=True) is served
    assert step(served, 90).roots == ready.roots[1:], "the old root goes when all that it signed has expired"


def test_a_successor_that_nobody_knows_of_is_better_than_an_expired_certificate() -> None:
    ready = step(first(), 60)
    late = step(ready, 91)
    assert (late.serving, late.coming) == (ready.coming, None)
    dead = step(ready, 200)
    assert dead.serving not in (ready.serving, ready.coming, None)
    assert len(dead.roots) == 1


def _signed(**changes: object) -> Issued:
    stated = {"hosts": WANTED.hosts, "now": NOW, "life": 90 * DAY} | changes
    return sign_by_itself(**stated)  # type: ignore[arg-type]


ONE, TWO, THREE = _signed(), _signed(), _signed()


@pytest.mark.parametrize(
    "useless",
    [
        Held(Pair(ONE.pair.chain, TWO.pair.key), None, ONE.roots),
        Held(ONE.pair, None, TWO.roots),
        Held(ONE.pair, None, ()),
        Held(Pair(b"no certificate", ONE.pair.key), None, ONE.roots),
        Held(Pair(ONE.pair.chain, b"no key"), None, ONE.roots),
        Held(_signed(hosts=("other.mesh.svc",)).pair, None, ONE.roots),
        Held(_signed(now=NOW - 91 * DAY).pair, None, ONE.roots),
    ],
    ids=["key of another", "root of another", "no root", "no certificate", "no key", "other names", "expired"],
)
def test_a_pair_of_no_use_is_replaced(useless: Held) -> None:
    replaced = step(useless, 1)
    assert replaced.serving is not None
    assert replaced.serving != useless.serving
    assert step(replaced, 1) is replaced


def test_new_names_take_a_new_certificate_and_the_old_root_stays() -> None:
    held = first()
    renamed = step(held, 1, wanted=Wanted(("injector.canary.svc",), DAY))
    assert renamed.serving != held.serving
    assert renamed.roots[0] == held.roots[0]


def test_while_nobody_signs_everything_stays_and_in_the_end_any_authority_is_good_enough() -> None:
    held = first()
    for day, due, urgent in ((59, False, False), (61, True, False), (80.9, True, False), (81.1, True, True)):
        now = NOW + day * DAY
        assert (is_due(held, WANTED, now), is_urgent(held, WANTED, now)) == (due, urgent)
        assert next_content(held, WANTED, now, known=True, issued=None) is held
    assert is_urgent(Held(), WANTED, NOW)
    assert not is_urgent(Held(None, ONE.pair, ONE.roots), WANTED, NOW)
    assert next_content(Held(), WANTED, NOW, known=True, issued=None) == Held()


def test_a_certificate_that_is_not_below_the_wanted_roots_gets_a_successor() -> None:
    """As when the mesh's authority answers for the first time, or has another root."""
    held, wanted = Held(ONE.pair, None, (*TWO.roots, *ONE.roots)), replace(WANTED, roots=THREE.roots)
    assert not is_due(held, replace(WANTED, roots=(*THREE.roots, *ONE.roots)), NOW)
    assert is_due(held, wanted, NOW)
    assert not is_urgent(held, wanted, NOW)
    ready = next_content(held, wanted, NOW, known=False, issued=THREE)
    assert ready == Held(ONE.pair, THREE.pair, (*ONE.roots, *THREE.roots)), "a root that nothing needs goes"
    served = next_content(ready, wanted, NOW, known=True, issued=None)
    assert served == Held(THREE.pair, None, ready.roots)
    assert not is_due(served, wanted, NOW)


def test_a_secret_gives_back_what_was_put_there() -> None:
    ready = step(first(), 60)
    for held in (Held(), first(), ready):
        assert read_secret({"data": secret_data(held)}) == held


@pytest.mark.parametrize("text", ["", "%%%", base64.b64encode(b"no PEM").decode(), 7])
def test_what_cannot_be_read_is_replaced(text: object) -> None:
    names = ("tls.crt", "tls.key", "next.crt", "next.key", "ca.crt")
    assert step(read_secret({"data": dict.fromkeys(names, text)}), 0).serving is not None
    assert read_secret({}) == Held()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 400), st.booleans(), st.booleans()), min_size=10, max_size=40))
def test_callers_always_know_the_root_of_what_is_served(steps: list[tuple[int, bool, bool]]) -> None:
    """Hours pass; the leader looks; the configuration is written now and then, and only what is known is told so."""
    wanted, now, held = Wanted(("a.b.svc",), 30 * DAY), NOW, Held()
    told = b""
    for hours, leader_looks, is_told in steps:
        now += timedelta(hours=min(hours, 9 * 24))  # the leader is not away for longer than the last third of a life
        if leader_looks or held.serving is None or now >= renewal(held.serving):
            held = look(held, wanted, now, known=told == held.bundle)
            if told == b"" or is_told or now >= renewal(_serving(held)):
                told = held.bundle
        certificate = x509.load_pem_x509_certificate(_serving(held).chain)
        assert certificate.not_valid_after_utc > now
        assert any(_verifies(certificate, root) for root in x509.load_pem_x509_certificates(told))


def _serving(held: Held) -> Pair:
    assert held.serving is not None
    return held.serving


def _verifies(certificate: x509.Certificate, root: x509.Certificate) -> bool:
    known = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    return known == root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
