"""What a certificate says, as headers and logs show it."""

from mizzen.proxy.engine.peer import Peer


def test_a_subject_breaks_no_line() -> None:
    subject = ((("countryName", "DE"),), (("commonName", "a, b\r\nx-user: root"),))
    assert Peer({"subject": subject}, b"").subject == "CN=a\\, b\\0D\\0Ax-user: root,C=DE"
