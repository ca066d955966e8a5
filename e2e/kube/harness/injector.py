"""The injector of a release, and what it keeps in the API server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kube.harness.component import serving
from support.kube.cluster import Object, until
from support.kube.release import Release

from mizzen.injector.certificate.keeping import Held
from mizzen.injector.certificate.secret import read_secret, secret_data

SECRET = ("secret", "mizzen-injector-certificate")


@dataclass(frozen=True)
class Injector:
    """One that serves, or has served."""

    release: Release

    @property
    def mutating(self) -> tuple[str, str]:
        """Kind and name of its webhook configuration for Pods."""
        return "mutatingwebhookconfiguration", f"istio-sidecar-injector-{self.release.namespace}"

    @property
    def validating(self) -> tuple[str, str]:
        """The same for configuration."""
        return "validatingwebhookconfiguration", f"istio-validator-{self.release.namespace}"

    @property
    def hooks(self) -> list[Object]:
        """The webhooks of both."""
        return [
            hook for each in (self.mutating, self.validating) for hook in self.release.cluster.get(*each)["webhooks"]
        ]

    @property
    def is_known(self) -> bool:
        """Whether each webhook has the Secret's roots."""
        bundle = self.release.get(*SECRET).get("data", {}).get("ca.crt")
        return bool(bundle) and {hook["clientConfig"].get("caBundle") for hook in self.hooks} == {bundle}

    @property
    def held(self) -> Held:
        """What the Secret holds."""
        return read_secret(self.release.get(*SECRET))

    def put(self, held: Held) -> None:
        """Write the Secret in its place."""
        data = {"next.crt": None, "next.key": None} | secret_data(held)
        patch = f"--patch={json.dumps({'data': data})}"
        self.release.cluster.kubectl("patch", *SECRET, "--namespace", self.release.namespace, patch)

    def patch(self, configuration: tuple[str, str], *operations: Object) -> None:
        """Change a webhook configuration behind its back."""
        self.release.cluster.kubectl("patch", *configuration, "--type=json", f"--patch={json.dumps(operations)}")

    def fail_open(self) -> None:
        """Let configuration pass unchecked, as when the release was installed."""
        for index in range(2):
            self.patch(
                self.validating, {"op": "replace", "path": f"/webhooks/{index}/failurePolicy", "value": "Ignore"}
            )


@contextmanager
def injecting(release: Release, folder: Path, **further: str) -> Iterator[Injector]:
    """While it serves and everybody knows it, with `further` variables."""
    variables = {
        "MIZZEN_INJECTOR_ADDRESS": "{address}:443",
        "MIZZEN_INJECTOR_MONITORING_ADDRESS": "{address}:15014",
        "MIZZEN_INJECTOR_KUBECONFIG": "{kubeconfig}",
        **further,
    }
    injector = Injector(release)
    with serving(release, "mizzen.injector.webhook", "mizzen-injector", variables, folder):
        until("the API server knows the injector", lambda: injector.is_known)
        yield injector
    if release.cluster.local:
        injector.fail_open()  # nobody checks any more, and other tests of the release go on
