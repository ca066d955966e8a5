"""The webhook on real sockets, with certificates of its own."""

from __future__ import annotations

import io
import json
import shutil
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from mizzen.injector.certificate.keeping import Wanted
from mizzen.injector.webhook.files import CertificateFiles, SettingsFiles, SettingsSource
from mizzen.injector.webhook.service import InjectorService
from mizzen.injector.webhook.settings import WebhookSettings, read_webhook_settings
from mizzen.injector.webhook.tls import ServedCertificate
from mizzen.runtime.address import Address
from mizzen.runtime.errors import StartError

REVIEW = {
    "apiVersion": "admission.k8s.io/v1",
    "kind": "AdmissionReview",
    "request": {"uid": "u", "namespace": "shop", "object": {"spec": {"containers": [{"name": "app"}]}}},
}


CERTIFICATES = Path(__file__).parent / "certificates"


def write_pair(folder: Path, name: str = "one") -> tuple[Path, Path]:
    """A self-signed certificate for `<name>.test` and its key, under the names that Kubernetes gives them."""
    paths = folder / "tls.crt", folder / "tls.key"
    for path in paths:
        shutil.copy(CERTIFICATES / f"{name}{path.suffix}", path)
    return paths


def webhook_settings(folder: Path) -> WebhookSettings:
    chain, key = write_pair(folder)
    nowhere = Address("127.0.0.1", 0)
    return WebhookSettings(nowhere, nowhere, chain, key, "", None, SettingsFiles(), False, "info", "text")


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[InjectorService]:
    injector = InjectorService(webhook_settings(tmp_path))
    await injector.start()
    yield injector
    await injector.close()


@pytest.fixture
async def client(tmp_path: Path, service: InjectorService) -> AsyncIterator[aiohttp.ClientSession]:
    trusting = ssl.create_default_context(cafile=str(tmp_path / "tls.crt"))
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=trusting), timeout=timeout, base_url=f"https://{service.server.address}"
    ) as session:
        yield session


async def test_pods_are_injected_over_tls(client: aiohttp.ClientSession, service: InjectorService) -> None:
    for path in ("/inject", "/inject/cluster/c/net/n"):
        async with client.post(path, json=REVIEW, server_hostname="one.test") as response:
            assert response.status == 200
            assert (await response.json())["response"]["patchType"] == "JSONPatch"
    async with aiohttp.ClientSession(base_url=f"http://{service.monitoring.address}") as plain:
        async with plain.get("/metrics") as response:
            assert "sidecar_injection_success_total 2.0" in await response.text()
        async with plain.get("/ready") as response:
            assert response.status == 200


async def test_configuration_is_judged(client: aiohttp.ClientSession, service: InjectorService) -> None:
    gateway = {"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": {"name": "g"}, "spec": {}}
    request = {"uid": "u", "namespace": "shop", "name": "g", "operation": "CREATE", "object": gateway}
    async with client.post("/validate", json=REVIEW | {"request": request}, server_hostname="one.test") as response:
        answered = (await response.json())["response"]
    assert (answered["allowed"], "spec.servers" in answered["status"]["message"]) == (False, True)
    for body, kind, status in ((b"{", "application/json", 400), (b"{}", "text/plain", 415)):
        headers = {"content-type": kind}
        async with client.post("/validate", data=body, headers=headers, server_hostname="one.test") as response:
            assert response.status == status
    monitoring = f"http://{service.monitoring.address}"
    async with aiohttp.ClientSession(base_url=monitoring) as plain, plain.get("/metrics") as response:
        text = await response.text()
    assert "galley_validation_failed_total 1.0" in text
    assert "galley_validation_http_error_total 2.0" in text
    [expiry] = [line for line in text.splitlines() if line.startswith("sidecar_injection_certificate_expiry")]
    assert float(expiry.split()[1]) > datetime(2100, 1, 1, tzinfo=UTC).timestamp()


async def test_other_requests_are_refused(client: aiohttp.ClientSession) -> None:
    for body, kind, status in (
        (b"{}", "text/plain", 415),
        (b"{", "application/json", 400),
        (b"", "application/json", 400),
    ):
        async with client.post(
            "/inject", data=body, headers={"content-type": kind}, server_hostname="one.test"
        ) as response:
            assert response.status == status
    async with client.get("/inject", server_hostname="one.test") as response:
        assert response.status == 405
    large = json.dumps(REVIEW | {"padding": "x" * (9 << 20)}).encode()
    async with client.post(
        "/inject", data=io.BytesIO(large), headers={"content-type": "application/json"}, server_hostname="one.test"
    ) as response:
        assert response.status == 413


def test_a_renewed_certificate_is_taken_over_and_a_broken_one_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    served = ServedCertificate()
    certificate = CertificateFiles(*write_pair(tmp_path, "one"), served)
    assert not served.there
    certificate.load()
    context = served.context
    assert served_name(context) == "one.test"
    (tmp_path / "tls.key").write_text("no key")
    certificate.refresh()
    assert "the last one stays in use" in caplog.text
    assert served_name(context) == "one.test"
    write_pair(tmp_path, "two")
    certificate.refresh()
    assert served_name(context) == "two.test"


def served_name(context: ssl.SSLContext) -> str:
    """Shake hands in memory: whom the server says it is."""
    client_context = ssl.create_default_context(cadata="".join(file.read_text() for file in CERTIFICATES.glob("*.crt")))
    client_context.check_hostname = False
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(to_server, to_client, server_side=True)
    client = client_context.wrap_bio(to_client, to_server)
    for side in (client, server, client, server):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    peer = client.getpeercert()
    assert peer
    return str(dict(part[0] for part in peer["subject"])["commonName"])


def test_bad_settings_leave_the_last_good_ones(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values = tmp_path / "values.yaml"
    values.write_text("global: {hub: one}")
    source = SettingsSource(SettingsFiles(values=values), native_sidecars=True)
    source.load()
    assert (source.settings.values.global_.hub, source.settings.native_sidecars) == ("one", True)
    values.write_text("global: {hub: [1]}")
    source.refresh()
    source.refresh()
    assert caplog.text.count("values: global.hub: must be text") == 1
    assert source.settings.values.global_.hub == "one"
    values.write_text("global: {hub: two}")
    source.refresh()
    assert source.settings.values.global_.hub == "two"


async def test_it_does_not_start_without_its_files(tmp_path: Path) -> None:
    missing = SettingsSource(SettingsFiles(mesh_config=tmp_path / "none"), native_sidecars=False)
    with pytest.raises(StartError, match=r"settings: .*none"):
        missing.load()
    with pytest.raises(StartError, match=r"certificate .*tls\.crt and key"):
        CertificateFiles(tmp_path / "tls.crt", tmp_path / "tls.key", ServedCertificate()).load()


def test_flags_and_variables(capsys: pytest.CaptureFixture[str]) -> None:
    variables = {"MIZZEN_INJECTOR_ADDRESS": "0.0.0.0:15017", "MIZZEN_INJECTOR_NATIVE_SIDECARS": "true"}
    given = read_webhook_settings(["--values-file", "/v"], variables)
    assert given.address == Address("0.0.0.0", 15017)
    assert (given.native_sidecars, given.files) == (True, SettingsFiles(values=Path("/v")))
    with pytest.raises(SystemExit) as ended:
        read_webhook_settings(["--native-sidecars", "maybe"], {})
    assert ended.value.code == 2
    assert "--native-sidecars must be one of auto, true, false" in capsys.readouterr().err


KEPT = {
    "MIZZEN_INJECTOR_KUBECONFIG": "in-cluster",
    "MIZZEN_INJECTOR_CERTIFICATE_SECRET": "mesh/tls",
    "MIZZEN_INJECTOR_CERTIFICATE_HOSTS": "injector.mesh.svc, injector.mesh",
    "MIZZEN_INJECTOR_LEASE": "mesh/injector",
    "MIZZEN_INJECTOR_MUTATING_WEBHOOK": "hooks",
}


def test_flags_of_a_certificate_that_is_kept() -> None:
    kept = read_webhook_settings(["--certificate-days", "30"], KEPT).kept
    assert kept is not None
    assert (kept.secret, kept.lease, kept.mutating) == (("mesh", "tls"), ("mesh", "injector"), "hooks")
    assert kept.wanted == Wanted(("injector.mesh.svc", "injector.mesh"), timedelta(days=30))
    assert read_webhook_settings([], {}).kept is None
    assert read_webhook_settings(["--native-sidecars=auto"], KEPT).native_sidecars is None


def test_without_a_cluster_there_is_no_version_to_ask_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read_webhook_settings(["--native-sidecars=auto"], {})
    assert "--native-sidecars=auto needs --kubeconfig" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flag", "value", "complaint"),
    [
        ("kubeconfig", "", "need --kubeconfig"),
        ("certificate-hosts", " ,", "--certificate-secret needs --certificate-hosts"),
        ("native-sidecars", "maybe", "must be one of auto, true, false"),
        ("lease", "injector", "--lease is <namespace>/<name>"),
        ("certificate-secret", "a/b/c", "--certificate-secret is <namespace>/<name>"),
        ("certificate-days", "0", "--certificate-days must be a number from 1"),
    ],
)
def test_flags_of_a_certificate_that_cannot_be_kept(
    flag: str, value: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        read_webhook_settings([f"--{flag}={value}"], KEPT)
    assert complaint in capsys.readouterr().err
