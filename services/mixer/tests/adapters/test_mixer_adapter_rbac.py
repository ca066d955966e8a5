"""rbac: roles and bindings from a folder of YAML in Istio's own form."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from mizzen.mixer.adapter import AdapterError, CheckResult
from mizzen.mixer.adapters.defaults import DEFAULTS
from mizzen.mixer.adapters.rbac.resources import parse
from mizzen.mixer.adapters.rbac.roles import Roles
from mizzen.mixer.status import OK, Code, Status
from mizzen.mixer.templates import Action, Authorization, Subject

ROLES = """
apiVersion: "rbac.istio.io/v1alpha1"
kind: ServiceRole
metadata:
  name: products-viewer
  namespace: default
spec:
  rules:
  - services: ["products.default.svc.cluster.local"]
    methods: ["GET", "HEAD"]
    constraints:
    - key: "version"
      values: ["v1", "v2*"]
---
apiVersion: "rbac.istio.io/v1alpha1"
kind: ServiceRole
metadata: {name: reader, namespace: default}
spec:
  rules:
  - services: ["*"]
    paths: ["/public/*", "*.html"]
    methods: ["*"]
---
apiVersion: "rbac.istio.io/v1alpha1"
kind: ServiceRoleBinding
metadata: {name: bind-products, namespace: default}
spec:
  subjects:
  - user: "alice@yahoo.com"
  - properties: {service: "reviews", namespace: "abc"}
  - user: "*"
    group: "staff"
  roleRef: {kind: ServiceRole, name: "products-viewer"}
---
apiVersion: "rbac.istio.io/v1alpha1"
kind: ServiceRoleBinding
metadata: {name: bind-reader, namespace: default}
spec:
  subjects: [{user: "*"}]
  roleRef: {kind: ServiceRole, name: reader}
---
apiVersion: v1
kind: Service
metadata: {name: products}
"""

PRODUCTS = "products.default.svc.cluster.local"


def request(user="", groups="", who=None, **action):
    fields = {"namespace": "default", "service": PRODUCTS, "method": "GET", "path": "/x", **action}
    return Authorization("a", Subject(user, groups, who or {}), Action(**fields))


@pytest.fixture(scope="module")
def roles() -> Roles:
    return Roles(parse(ROLES, Path("roles.yaml")))


V1 = {"properties": {"version": "v1"}}


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [
        (request("alice@yahoo.com", **V1), True),
        (request("alice@yahoo.com", properties={"version": "v2.1"}), True),
        (request("alice@yahoo.com", properties={"version": "v3"}), False),
        (request("alice@yahoo.com", properties={"version": 1}), False),
        (request("alice@yahoo.com"), False),
        (request("alice@yahoo.com", method="HEAD", **V1), True),
        (request("alice@yahoo.com", method="POST", **V1), False),
        (request("alice@yahoo.com", service="other", **V1), False),
        (request("alice@yahoo.com", namespace="other", **V1), False),
        (request("bob", **V1), False),
        (request("bob", "staff", **V1), True),
        (request(who={"service": "reviews", "namespace": "abc"}, **V1), True),
        (request(who={"service": "reviews", "namespace": "x"}, **V1), False),
        (request(who={"service": "reviews"}, **V1), False),
        (request("bob", path="/public/a"), True),
        (request("bob", path="/a/b.html", method="PUT"), True),
        (request("bob", path="/a/public/b"), False),
        (request("bob", path=""), False),
        (request("bob", path="/public/a", method=""), False),
        (request("bob", path="/public/a", service=""), False),
        (request("bob", path="/public/a", namespace=""), False),
    ],
)
def test_decisions(roles, asked, allowed):
    assert roles.allow(asked) is allowed


async def test_roles_from_a_folder(build, tmp_path, monkeypatch):
    (tmp_path / "roles.yaml").write_text(ROLES)
    handler = await build("rbac", {"config_store_url": f"fs://{tmp_path}", "cacheDuration": "5s"})
    allowed = await handler.check(request("bob", path="/public/a"))
    assert allowed == CheckResult(OK, timedelta(seconds=5), 10**9)
    denied = await handler.check(request("bob"))
    assert denied.status == Status(Code.PERMISSION_DENIED, "RBAC: permission denied.")


async def test_changes_are_followed_and_a_bad_file_keeps_what_it_had(build, tmp_path, caplog):
    path = tmp_path / "roles.yaml"
    path.write_text(ROLES)
    handler = await build("rbac", {"config_store_url": f"fs://{tmp_path}"})
    asked = request("bob", path="/public/a")

    path.write_text("{")
    await handler.refresh()
    assert (await handler.check(asked)).status == OK
    assert "roles.yaml is left as it was: not YAML" in caplog.text

    path.write_text(ROLES.replace("/public/", "/private/"))
    await handler.refresh()
    assert (await handler.check(asked)).status.code == Code.PERMISSION_DENIED

    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "again.yml").write_text(ROLES.replace("reader", "reader-2"))
    await handler.refresh()
    assert (await handler.check(asked)).status == OK

    (tmp_path / "more" / "again.yml").unlink()
    await handler.refresh()
    assert (await handler.check(asked)).status.code == Code.PERMISSION_DENIED


async def test_changes_are_noticed(build, tmp_path, monkeypatch):
    monkeypatch.setattr("mizzen.mixer.adapters.folder.POLL_SECONDS", 0.001)
    handler = await build("rbac", {"config_store_url": f"fs://{tmp_path}"})
    (tmp_path / "roles.yaml").write_text(ROLES)
    while (await handler.check(request("bob", path="/public/a"))).status != OK:  # noqa: ASYNC110 - reads a folder
        await asyncio.sleep(0.001)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: reader}\n---", "name: writer}\n---", "there is no ServiceRole default/writer"),
        ("kind: ServiceRole, name: reader", "kind: Role, name: reader", "roleRef.kind must be ServiceRole, got 'Role'"),
        ('    methods: ["*"]', "", "rules[0].methods: is required"),
        ('    methods: ["*"]', '    methods: ["*"]\n    verbs: []', "rules[0].verbs: unknown field"),
        ("spec:\n  subjects: [{user: ", "spec:\n  subject: [{user: ", "subject: unknown field"),
    ],
)
def test_a_bad_resource_is_left_out_and_told(caplog, old, new, message):
    assert old in ROLES
    roles = Roles(parse(ROLES.replace(old, new), Path("roles.yaml")))
    assert not roles.allow(request("bob", path="/public/a"))
    assert roles.allow(request("alice@yahoo.com", **V1))
    assert message in caplog.text


async def test_k8s_means_mixers_own_folder(build, tmp_path, monkeypatch):
    with pytest.raises(AdapterError, match="k8s:// means Mixer's configuration folder"):
        await build("rbac", {})
    monkeypatch.setattr(DEFAULTS, "config", tmp_path)
    (tmp_path / "roles.yaml").write_text(ROLES)
    handler = await build("rbac", {"config_store_url": "k8s://"})
    assert (await handler.check(request("bob", path="/public/a"))).status == OK


async def test_another_store_is_an_error(build):
    with pytest.raises(AdapterError, match="configStoreUrl: must be fs:// and a folder"):
        await build("rbac", {"configStoreUrl": "mcp://x"})
