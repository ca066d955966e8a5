"""The ways to an API server: the Pod's ServiceAccount, or a kubeconfig."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mizzen.kubernetes.kubeconfig import Kubeconfig
from mizzen.kubernetes.server import Access, Server
from mizzen.kubernetes.tls import Certificates, Contexts
from mizzen.runtime.errors import StartError

IN_CLUSTER = "in-cluster"
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class InCluster:
    """The ServiceAccount of the Pod that this runs in."""

    def __init__(self, url: str, folder: Path = SERVICE_ACCOUNT) -> None:
        self.url = url
        self._folder = folder
        self._contexts = Contexts()

    def server(self) -> Server:
        """As of now; raises OSError or ValueError."""
        token = (self._folder / "token").read_text("ascii").strip()
        tls = self._contexts.get(Certificates((self._folder / "ca.crt").read_bytes()))
        return Server(self.url, tls, authorization=f"Bearer {token}")


def access_to(kubeconfig: str, environment: Mapping[str, str]) -> Access:
    """What a setting names: `in-cluster`, or the path of a kubeconfig. Raises StartError, also for a broken one."""
    access: Access = Kubeconfig(Path(kubeconfig))
    if kubeconfig == IN_CLUSTER:
        host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT")
        if not host or not port:
            raise StartError(
                "in-cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set, so this is no Pod; "
                "name a kubeconfig instead"
            )
        access = InCluster(f"https://{f'[{host}]' if ':' in host else host}:{port}")
    try:
        access.server()
    except (OSError, ValueError) as error:
        raise StartError(f"cannot use the Kubernetes API: {error}") from error
    return access
