"""Containers that author and template both declare: the template gives what the author left open, the author wins."""

from __future__ import annotations

from mizzen.injector.injection.merge import merge
from mizzen.injector.injection.names import INIT, OVERRIDES, PROXY, SECTIONS, InjectionError, Object
from mizzen.injector.injection.pods import containers_of, copied, find_container, set_annotation
from mizzen.injector.injection.subject import to_json

AUTO_IMAGE = "auto"
"""The image of a container whose author wants the template's; Kubernetes demands some image."""


def laid_over(pod: Object, template: Object) -> Object:
    """The template merged into a copy of the Pod, with the author's containers over it.

    They are kept in an annotation, so that the next injection can start from them again.
    """
    pod = _moved_to_the_templates_lists(pod, template)
    overrides = {section: _declared(pod, template, section) for section in SECTIONS}
    result = merge(merge(pod, template), {"spec": {name: items for name, items in overrides.items() if items}})
    for section in SECTIONS:
        for container in containers_of(result, section):
            if container["name"] == PROXY and container.get("image") == AUTO_IMAGE:
                raise InjectionError(f"container {PROXY} has the image auto, and no template gives it another one")
    if stated := {name: items for name, items in overrides.items() if items}:
        set_annotation(result, OVERRIDES, to_json(stated))
    _follow_user(result, pod)
    return result


def without_declared_volumes(template: Object, pod: Object) -> Object:
    """The template without the volumes that the author declares under the same names: the author's stay."""
    declared = {volume["name"] for volume in pod["spec"].get("volumes") or ()}
    spec = template.get("spec", {})
    volumes = [volume for volume in spec.get("volumes") or () if volume["name"] not in declared]
    return template | {"spec": spec | {"volumes": volumes}}


def _declared(pod: Object, template: Object, section: str) -> list[Object]:
    """The author's containers that the template has too, without the image `auto`."""
    declared = {container["name"]: container for container in containers_of(pod, section)}
    both = [item["name"] for item in template.get("spec", {}).get(section) or () if item["name"] in declared]
    return [
        {key: value for key, value in declared[name].items() if (key, value) != ("image", AUTO_IMAGE)} for name in both
    ]


def _moved_to_the_templates_lists(pod: Object, template: Object) -> Object:
    """Authors declare `istio-proxy` under containers; a native sidecar stands under initContainers."""
    pod = copied(pod)
    spec = pod["spec"]
    for section, other in (SECTIONS, SECTIONS[::-1]):
        injected = {container["name"] for container in template.get("spec", {}).get(section) or ()}
        moving = injected & {PROXY, INIT}
        strays = [container for container in containers_of(pod, other) if container["name"] in moving]
        if strays:
            spec[section] = [*containers_of(pod, section), *strays]
            spec[other] = [container for container in containers_of(pod, other) if container not in strays]
    if not spec["containers"]:
        raise InjectionError(f"spec.containers has nothing but {PROXY}, and a native sidecar is no container there")
    return pod


def _follow_user(result: Object, pod: Object) -> None:
    """When the author gives the proxy another user or group, capture has to know it by that. TPROXY takes root."""
    declared = (find_container(pod, PROXY) or {}).get("securityContext") or {}
    user, group = declared.get("runAsUser"), declared.get("runAsGroup")
    init = next((container for container in containers_of(result, "initContainers") if container["name"] == INIT), None)
    proxy = find_container(result, PROXY)
    if not (user or group) or init is None or proxy is None:
        return
    arguments = list(init.get("args") or ())
    if user and "TPROXY" in arguments:
        proxy["securityContext"] = proxy["securityContext"] | {"runAsUser": 0}
    elif user and "-u" in arguments:
        arguments[arguments.index("-u") + 1] = str(user)
    if group:
        arguments += ["-g", str(group)]
    init["args"] = arguments
