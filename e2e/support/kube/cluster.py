"""What a test does with a cluster: kubectl, helm, and the rights of a ServiceAccount."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from support.kube.programs import CHART, program

COMMAND_SECONDS = 60

Object = dict[str, Any]


class Refused(Exception):
    """A command failed; the text is its complaint."""


@dataclass(frozen=True)
class Cluster:
    """An API server and who one is there."""

    kubeconfig: Path
    local: bool
    """Whether it is ours alone: no nodes, and a failing webhook hurts nobody."""

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """What it prints; raises Refused."""
        return command_output(*(program("kubectl"), f"--kubeconfig={self.kubeconfig}", *arguments), stdin=stdin)

    def get(self, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", *arguments, "--output=json"))

    def names(self, kinds: str, *arguments: str) -> set[str]:
        """`kind/name` of all objects of those kinds, as kubectl writes them."""
        return set(self.kubectl("get", kinds, *arguments, "--output=name").split())

    def apply(self, *objects: Object) -> str:
        return self.kubectl("apply", "--server-side", "--filename=-", stdin=yaml.safe_dump_all(objects))

    def helm(self, *arguments: str) -> str:
        """What it prints; raises Refused."""
        return helm(f"--kubeconfig={self.kubeconfig}", *arguments)

    def create_namespace(self, name: str, **labels: str) -> None:
        """Make one, and wait until Pods can be made in it: for its own ServiceAccount."""
        metadata = {"name": name, "labels": labels}
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        account = "serviceaccount/default"
        until(f"{account} in {name}", lambda: account in self.names("serviceaccounts", "--namespace", name))

    def service_account(self, namespace: str, name: str) -> Cluster:
        """The same cluster as a ServiceAccount sees it, with a token of its own."""
        token = self.kubectl("create", "token", name, "--namespace", namespace).strip()
        config = yaml.safe_load(self.kubectl("config", "view", "--raw", "--minify", "--flatten"))
        config["users"] = [{"name": user["name"], "user": {"token": token}} for user in config["users"]]
        own = self.kubeconfig.with_name(f"{namespace}.{name}.kubeconfig")
        own.write_text(yaml.safe_dump(config))
        return Cluster(own, self.local)

    def may(self, rights: Sequence[Object]) -> list[bool]:
        """SelfSubjectAccessReviews of `resourceAttributes`, as many answers as questions."""
        asked = [{"resourceAttributes": right} for right in rights]
        return [status["allowed"] for status in self.review("SelfSubjectAccessReview", asked)]

    def review(self, kind: str, specs: Sequence[Object]) -> list[Object]:
        """The status of reviews of this user's own rights."""
        reviews = [{"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec} for spec in specs]
        items = {"apiVersion": "v1", "kind": "List", "items": reviews}
        # kubectl validates with the cluster's definitions, which not everybody may list.
        one_a_line = '--output=jsonpath={.status}{"\\n"}'
        text = self.kubectl("create", "--validate=false", "--filename=-", one_a_line, stdin=json.dumps(items))
        return [json.loads(line) for line in text.splitlines()]


def helm(*arguments: str) -> str:
    """What it prints; raises Refused."""
    return command_output(*(program("helm"), *arguments))


def template(*arguments: str, namespace: str = "istio-system") -> list[Object]:
    """The objects of the chart with these arguments; raises Refused."""
    text = helm("template", "mizzen", str(CHART), f"--namespace={namespace}", *arguments)
    return [parsed for parsed in yaml.load_all(text, yaml.CSafeLoader) if parsed]


def until(what: str, condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait; an AssertionError that says for what, when it takes too long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds:g} s: {what}"
        time.sleep(0.2)


def command_output(*command: str, stdin: str | None = None, seconds: float = COMMAND_SECONDS) -> str:
    """What a command prints; raises Refused."""
    ended = subprocess.run(command, input=stdin or "", capture_output=True, text=True, timeout=seconds, check=False)
    if ended.returncode:
        raise Refused(ended.stdout + ended.stderr)
    return ended.stdout
