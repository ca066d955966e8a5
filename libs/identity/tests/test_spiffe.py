import pytest
from hypothesis import given
from hypothesis import strategies as st

from mizzen.identity.spiffe import InvalidIdentity, SpiffeId

names = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,20}[a-z0-9])?", fullmatch=True)


@given(names, names, names)
def test_what_is_written_is_read_as_the_same(trust_domain: str, namespace: str, account: str) -> None:
    identity = SpiffeId(trust_domain, namespace, account)
    assert SpiffeId.parse(str(identity)) == identity


@given(st.text(max_size=60))
def test_any_other_text_is_refused_with_its_own_error(text: str) -> None:
    with pytest.raises(InvalidIdentity):
        SpiffeId.parse(text)


@pytest.mark.parametrize(
    "uri",
    [
        "spiffe://cluster.local",
        "spiffe://cluster.local/ns/default/sa/",
        "spiffe://cluster.local/ns//sa/reviews",
        "spiffe:///ns/default/sa/reviews",
        "spiffe://cluster.local/ns/default/sa/reviews/",
        "spiffe://cluster.local/ns/default/sa/reviews?x=1",
        "spiffe://cluster.local/ns/default/sa/reviews#x",
        "spiffe://cluster.local/ns/default/sa/rev%69ews",
        "spiffe://cluster.local/ns/../sa/reviews",
        "spiffe://user@cluster.local/ns/default/sa/reviews",
        "spiffe://cluster.local:443/ns/default/sa/reviews",
        "spiffe://Cluster.local/ns/default/sa/reviews",
        "SPIFFE://cluster.local/ns/default/sa/reviews",
        "https://cluster.local/ns/default/sa/reviews",
        "spiffe://cluster.local/sa/reviews/ns/default",
        "spiffe://cluster.local/ns/default/sa/reviews\n",
    ],
)
def test_nothing_but_the_one_form(uri: str) -> None:
    with pytest.raises(InvalidIdentity):
        SpiffeId.parse(uri)
