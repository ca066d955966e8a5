"""A header operation on the framing of messages has no effect, and is reported; it takes no route table with it."""

from envoy.config.route.v3 import route_components_pb2

from mizzen.proxy.engine.plan import HeaderEdits
from mizzen.proxy.snapshot.result import Notes
from mizzen.proxy.snapshot.values import header_edits


def test_edits_of_framing_headers_are_left_out_and_reported() -> None:
    route = route_components_pb2.Route(request_headers_to_remove=["Content-Length", "x-old"])
    for name in ("transfer-encoding", "x-new"):
        option = route.request_headers_to_add.add()
        option.header.key, option.header.value = name, "chunked"
    notes = Notes()

    edits = header_edits(route, "request", notes, "VirtualService default/a")

    assert edits == HeaderEdits(remove=("x-old",), add=(("x-new", "chunked"),))
    assert [(item.field, item.origin) for item in notes.unsupported] == [
        ("envoy.config.core.v3.HeaderValueOption.header.key[transfer-encoding]", "VirtualService default/a"),
        ("envoy.config.route.v3.Route.request_headers_to_remove[Content-Length]", "VirtualService default/a"),
    ]
