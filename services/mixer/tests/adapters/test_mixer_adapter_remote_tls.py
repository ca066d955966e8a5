"""remote over TLS: whom Mixer believes, what it shows of itself, and which parameters cannot be right."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import grpc
import grpc.aio
import pytest

from mizzen.mixer import templates
from mizzen.mixer.adapter import AdapterError
from mizzen.mixer.adapters.remote import params_of
from mizzen.mixer.adapters.remote.services import SERVICES
from mizzen.mixer.status import Code
from mizzen.proto import adapter_model_pb2 as model

HERE = Path(__file__).parent / "certificates"
ADAPTER, MIXER = HERE / "adapter.crt", HERE / "mixer.crt"
ADAPTER_KEY, MIXER_KEY = HERE / "adapter.key", HERE / "mixer.key"
SERVICE = SERVICES[templates.CheckNothing]
NAME = {"serverName": "adapter.test", "caCertificates": str(ADAPTER)}
PAIR = {"clientCertificate": str(MIXER), "privateKey": str(MIXER_KEY)}


class Process(grpc.GenericRpcHandler):
    """An adapter that says with its answer what the caller has shown."""

    def service(self, call):
        async def answer(request, context):
            shown = context.auth_context().get("x509_common_name", [b"nobody"])[0].decode()
            headers = {
                key: value for key, value in context.invocation_metadata() if key in ("authorization", "x-token")
            }
            result = model.CheckResult(valid_use_count=1)
            result.status.message = " ".join([shown, *(f"{key}={value}" for key, value in headers.items())])
            return result

        return grpc.unary_unary_rpc_method_handler(
            answer, SERVICE.request.FromString, lambda message: message.SerializeToString()
        )


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[str]]]:
    """Starts an adapter with a certificate; it wants one of its callers too where it is told so. Gives its address."""
    servers = []

    async def serve(*, mutual: bool = False) -> str:
        pair = [(ADAPTER_KEY.read_bytes(), ADAPTER.read_bytes())]
        credentials = grpc.ssl_server_credentials(pair, MIXER.read_bytes() if mutual else None, mutual)
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((Process(),))
        address = f"127.0.0.1:{server.add_secure_port('127.0.0.1:0', credentials)}"
        await server.start()
        servers.append(server)
        return address

    yield serve
    for server in servers:
        await server.stop(None)


def params(address: str, **authentication: dict) -> dict:
    """As Istio writes it: a handler with a connection."""
    connection = {"address": address, "timeout": "5s", "authentication": authentication}
    return params_of({"templates": ["checknothing"]}, {"connection": connection})


async def says(build, address: str, **authentication: dict) -> str:
    handler = await build("remote", params(address, **authentication))
    result = await handler.check(templates.CheckNothing("n"))
    assert result.status.code is Code.OK
    return result.status.message


async def test_a_certificate_that_is_trusted(build, serve):
    assert await says(build, await serve(), tls=NAME) == "nobody"


async def test_both_show_certificates(build, serve):
    address = await serve(mutual=True)
    assert await says(build, address, mutual={**NAME, **PAIR}) == "mixer.test"
    with pytest.raises(AdapterError, match="UNAVAILABLE"):
        await says(build, address, tls=NAME)


@pytest.mark.parametrize(
    "stated",
    [
        {"caCertificates": str(ADAPTER)},
        {"serverName": "other.test", "caCertificates": str(ADAPTER)},
        {"serverName": "adapter.test", "caCertificates": str(MIXER)},
        {"serverName": "adapter.test"},
    ],
    ids=["of another address", "of another name", "of another authority", "of no known authority"],
)
@pytest.mark.parametrize("kind", ["tls", "mutual"])
async def test_a_certificate_that_is_not_trusted(build, serve, kind, stated):
    with pytest.raises(AdapterError, match="failed: UNAVAILABLE"):
        await says(build, await serve(), **{kind: {**stated, **(PAIR if kind == "mutual" else {})}})


async def test_an_adapter_without_tls_is_not_spoken_to_where_there_is_to_be_some(build):
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Process(),))
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    with pytest.raises(AdapterError, match="failed: UNAVAILABLE"):
        await says(build, address, tls=NAME)
    await server.stop(None)


@pytest.mark.parametrize(
    ("how", "shown"),
    [
        ({}, "authorization={}"),
        ({"authHeader": "PLAIN"}, "authorization={}"),
        ({"authHeader": "BEARER"}, "authorization=Bearer {}"),
        ({"customHeader": "X-Token"}, "x-token={}"),
    ],
)
async def test_a_token_is_shown_as_it_is_in_its_file(build, serve, tmp_path, how, shown):
    file = tmp_path / "token"
    file.write_text("one\n")
    handler = await build("remote", params(await serve(), tls={**NAME, "tokenPath": str(file), **how}))
    for token in ("one", "two"):
        file.write_text(f"{token}\n")
        result = await handler.check(templates.CheckNothing("n"))
        assert result.status.message == f"nobody {shown.format(token)}"
    file.unlink()
    with pytest.raises(AdapterError, match="UNAVAILABLE"):
        await handler.check(templates.CheckNothing("n"))


@pytest.mark.parametrize(
    ("authentication", "message"),
    [
        ({}, "authentication: must have tls or mutual"),
        ({"tls": {}, "mutual": {}}, "only one of tls, mutual"),
        ({"tls": {"caCertificates": "/none"}}, r"authentication\.tls\.caCertificates: cannot read /none: No such file"),
        (
            {"tls": {"caCertificates": str(MIXER_KEY)}},
            r"authentication\.tls\.caCertificates: no certificates in PEM form",
        ),
        ({"tls": {"tokenPath": "/none"}}, r"authentication\.tls\.tokenPath: cannot read /none"),
        ({"tls": {"oauth": {"clientId": "a"}}}, r"authentication\.tls\.oauth: is not supported"),
        ({"mutual": {"privateKey": "/none"}}, r"authentication\.mutual\.clientCertificate: is required"),
        ({"mutual": {"clientCertificate": "/none"}}, r"authentication\.mutual\.privateKey: is required"),
        ({"mutual": {**PAIR, "privateKey": "/none"}}, r"authentication\.mutual\.privateKey: cannot read /none"),
        ({"mutual": {**PAIR, "privateKey": str(ADAPTER_KEY)}}, "clientCertificate and privateKey are no pair"),
        ({"mutual": {**PAIR, "caCertificate": "x"}}, 'did you mean "caCertificates"'),
    ],
)
async def test_parameters_that_cannot_be_right(build, authentication, message):
    with pytest.raises(AdapterError, match=message):
        await build("remote", params("127.0.0.1:1", **authentication))
