"""A Pod with its sidecar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jsonpatch

from mizzen.injector.injection import names
from mizzen.injector.injection.annotations import check_annotations, ineffective, parse_bool
from mizzen.injector.injection.merge import merge
from mizzen.injector.injection.metrics import merge_metrics
from mizzen.injector.injection.names import INIT, PROXY, SECTIONS, InjectionError, Object
from mizzen.injector.injection.overrides import laid_over, without_declared_volumes
from mizzen.injector.injection.owner import Owner, owner_of
from mizzen.injector.injection.pods import (
    annotations_of,
    check_shape,
    containers_of,
    find_container,
    set_annotation,
)
from mizzen.injector.injection.probes import rewrite_probes
from mizzen.injector.injection.reinjection import Original, original_of
from mizzen.injector.injection.settings import Settings
from mizzen.injector.injection.subject import Subject, make_subject, to_json
from mizzen.injector.injection.template import render, template_names


@dataclass(frozen=True, slots=True)
class Place:
    """Where a Pod is created, as far as the Pod itself does not say."""

    namespace: str = "default"
    owner: Owner | None = None
    """The workload, where it is known; else it is told from the Pod."""
    cluster: str = ""
    network: str = ""


@dataclass(frozen=True, slots=True)
class Injected:
    """The new Pod, and what its author should know."""

    pod: Object
    warnings: tuple[str, ...]

    def patch(self, before: Object) -> list[dict[str, Any]]:
        """The JSON Patch (RFC 6902) that makes this Pod of the one before."""
        return list(jsonpatch.make_patch(before, self.pod).patch)


def inject(pod: Object, settings: Settings, place: Place | None = None) -> Injected:
    """The Pod with a sidecar; the argument is left as it is.

    A Pod that was injected before is injected anew: with the same settings the result is the same Pod. Raises
    InjectionError for an annotation, a template or a Pod that is wrong.
    """
    place = place or Place()
    check_shape(pod)
    check_annotations(annotations_of(pod))
    original = original_of(pod)
    check_shape(original.pod)  # what its annotations say that it was is no better than what it says that it is
    owner = place.owner or owner_of(pod, place.namespace)
    subject = make_subject(original.pod, owner, settings, place.cluster, place.network)
    template: Object = {}
    try:
        for name in template_names(subject):
            template = merge(template, render(name, subject))
        template = without_declared_volumes(template, original.pod)
        result = laid_over(original.pod, template)
    except ValueError as error:
        raise InjectionError(f"a template does not fit the Pod: {error}") from error
    _finish(result, template, subject, original)
    return Injected(result, tuple(ineffective(subject.annotations) + _cautions(result, owner)))


def _finish(pod: Object, template: Object, subject: Subject, original: Original) -> None:
    """What needs the whole Pod: metrics, probes, status, order. In place."""
    proxy = find_container(pod, PROXY)
    scrape = merge_metrics(pod, subject.mesh.enable_prometheus_merge, subject.status_port) or original.scrape
    if proxy is not None:
        if scrape:
            _set_variable(proxy, names.SCRAPE_VARIABLE, to_json(scrape))
        probers = original.probers | _rewritten(pod, subject)
        if probers:
            _set_variable(proxy, names.PROBERS_VARIABLE, to_json(probers))
    set_annotation(pod, names.STATUS, _status(template, subject))
    for name, value in subject.settings.policy.injected_annotations.items():
        set_annotation(pod, name, value)
    _order(pod["spec"], subject)


def _rewritten(pod: Object, subject: Subject) -> dict[str, Any]:
    said = subject.annotations.get(names.REWRITE_PROBES)
    rewrite = subject.values.sidecar_injector_webhook.rewrite_app_http_probe if said is None else parse_bool(said)
    return rewrite_probes(pod, subject.status_port) if rewrite and subject.status_port else {}


def _set_variable(container: Object, name: str, value: str) -> None:
    others = [variable for variable in container.get("env") or () if variable.get("name") != name]
    container["env"] = [*others, {"name": name, "value": value}]


def _status(template: Object, subject: Subject) -> str:
    """What was injected, so that it can be taken back."""
    spec = template.get("spec", {})
    lists = {
        name: [item["name"] for item in spec.get(name) or ()] or None
        for name in (*SECTIONS, "volumes", "imagePullSecrets")
    }
    return to_json(lists | {"revision": subject.settings.revision})


def _order(spec: Object, subject: Subject) -> None:
    """Where the proxy stands among the containers.

    Native: capture, proxy, then the application's init containers, which so are in the mesh. Classic: capture last of
    the init containers, as it would cut the others off; the proxy last, so that tools that take the first container
    find the application, or first when the application waits for it.
    """
    containers = containers_of({"spec": spec}, "containers")
    spec["containers"] = _moved(containers, PROXY, first=subject.holds_application)
    starting = containers_of({"spec": spec}, "initContainers")
    native = any(container["name"] == PROXY for container in starting)
    starting = _moved(_moved(starting, PROXY, first=True), INIT, first=native)
    spec.pop("initContainers", None)
    if starting:
        spec["initContainers"] = starting


def _moved(containers: list[Object], name: str, *, first: bool) -> list[Object]:
    chosen = [container for container in containers if container["name"] == name]
    others = [container for container in containers if container["name"] != name]
    return chosen + others if first else others + chosen


def _cautions(pod: Object, owner: Owner) -> list[str]:
    """Things that are allowed and rarely meant."""
    cautions = []
    if owner.kind in ("Job", "CronJob") and any(item["name"] == PROXY for item in containers_of(pod, "containers")):
        cautions.append(
            f'a Job ends when its last container does: set the annotation {names.NATIVE} to "true" (Kubernetes 1.29), '
            f"or let the application end with POST http://127.0.0.1:{names.ADMIN_PORT}/quitquitquit"
        )
    policy = pod["spec"].get("dnsPolicy") or "ClusterFirst"
    if policy != "ClusterFirst":
        cautions.append(f"dnsPolicy is {policy}, not ClusterFirst: the proxy may not find the control plane")
    for section in SECTIONS:
        for container in containers_of(pod, section):
            user = (container.get("securityContext") or {}).get("runAsUser")
            if user == names.PROXY_ID and container["name"] != PROXY:
                cautions.append(
                    f"container {container['name']} runs as user {user}, the proxy's: its traffic is not captured"
                )
    return cautions
