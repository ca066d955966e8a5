"""One cluster serves all of these tests; each has namespaces of its own."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from kube.harness.injector import Injector, injecting
from support.kube import local
from support.kube.cluster import Cluster
from support.kube.gatewayapi import gateway_api_in
from support.kube.programs import REPOSITORY
from support.kube.release import Release

RULES = REPOSITORY / "demo/bookinfo/policy/deny-reviews-v3.yaml"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of this folder needs the programs of `make e2e-tools`, and their time."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.kube)
            item.add_marker(pytest.mark.timeout(180))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster of E2E_KUBECONFIG, else a new one."""
    folder = tmp_path_factory.mktemp("kube")
    with ExitStack() as stack:
        if given := os.environ.get("E2E_KUBECONFIG"):
            copy = folder / "kubeconfig"
            copy.write_bytes(Path(given).read_bytes())
            yield Cluster(copy, local=False)
        else:
            yield Cluster(local.start(folder, stack), local=True)


@pytest.fixture(scope="session")
def gateway_api_definitions(cluster: Cluster) -> Iterator[None]:
    with gateway_api_in(cluster):
        yield


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    name = f"e2e-{secrets.token_hex(4)}"
    cluster.create_namespace(name)
    try:
        yield name
    finally:
        cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def release(cluster: Cluster) -> Iterator[Release]:
    """The chart, installed in a namespace of its own that admits nothing but locked-up Pods."""
    release = Release(cluster, f"mesh-{secrets.token_hex(4)}")
    cluster.create_namespace(release.namespace, **{"pod-security.kubernetes.io/enforce": "restricted"})
    try:
        release.install("--set-file", f"mixer.rules={RULES}")
        yield release
    finally:
        release.uninstall()
        cluster.kubectl("delete", "namespace", release.namespace)


@pytest.fixture(scope="module")
def injector(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Injector]:
    """The release's, while a module of tests runs."""
    with injecting(release, tmp_path_factory.mktemp("injector")) as injector:
        yield injector
