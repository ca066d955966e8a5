"""What a watch remembers of answers that arrive one behind the other."""

from mizzen.pilot.generate.encoded import Encoded
from mizzen.pilot.generate.typeurls import ROUTE
from mizzen.pilot.xds.messages import Response
from mizzen.pilot.xds.subscription import Status, Subscription


def sent(watch: Subscription, nonce: str, *names: str) -> None:
    resources = tuple(Encoded(name, b"", nonce) for name in names)
    watch.record(Response(ROUTE, nonce, nonce, resources, ()), 1.0)


def test_an_ack_of_other_resources_does_not_hide_what_was_refused_before():
    watch = Subscription(ROUTE, {"80", "9080"})
    sent(watch, "first", "80")
    sent(watch, "second", "9080")
    watch.reject("first", "80 is bad", 2.0)
    watch.acknowledge(3.0)
    assert (watch.status, watch.error) == (Status.ERROR, "80 is bad")


def test_an_ack_of_a_newer_version_ends_the_error_of_the_older_one():
    watch = Subscription(ROUTE, {"80"})
    sent(watch, "first", "80")
    sent(watch, "second", "80")
    watch.reject("first", "80 is bad", 2.0)
    watch.acknowledge(3.0)
    assert (watch.status, watch.error, watch.retry) == (Status.SYNCED, "", set())
