"""What is wrong with a Pod, a template or the settings is an error that says where; a risk is a warning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mizzen.injector.injection.inject import Place, inject
from mizzen.injector.injection.names import InjectionError
from mizzen.injector.injection.owner import Owner
from mizzen.injector.injection.settings import read_settings

PROXY_CONFIG = "proxy.istio.io/config"


def traffic(name: str, value: str) -> dict[str, str]:
    return {f"traffic.sidecar.istio.io/{name}": value}


def sidecar(name: str, value: str) -> dict[str, str]:
    return {f"sidecar.istio.io/{name}": value}


OVERRIDING = sidecar("status", '{"containers": ["istio-proxy"]}')
BAD = [
    (traffic("includeInboundPorts", "http"), "annotation traffic.sidecar.istio.io/includeInboundPorts: must be a port"),
    (traffic("excludeInboundPorts", "*"), "excludeInboundPorts: must be a port"),
    (traffic("excludeInboundPorts", "70000"), "excludeInboundPorts: must be a port from 0 to 65535, got '70000'"),
    (traffic("includeOutboundPorts", "1,,2"), "includeOutboundPorts: must be a port"),
    (traffic("excludeOutboundPorts", "-1"), "excludeOutboundPorts: must be a port"),
    (traffic("includeOutboundIPRanges", "10.0.0.0"), "includeOutboundIPRanges: must be CIDR blocks"),
    (traffic("excludeOutboundIPRanges", "*"), "excludeOutboundIPRanges: must be CIDR blocks"),
    (traffic("excludeInterfaces", "eth0;reboot"), "excludeInterfaces: must be names of interfaces"),
    (traffic("kubevirtInterfaces", "averyveryverylongname"), "kubevirtInterfaces: must be names of interfaces"),
    ({"istio.io/reroute-virtual-interfaces": "1"}, "reroute-virtual-interfaces: must be names"),
    (sidecar("interceptionMode", "redirect"), "interceptionMode: must be REDIRECT, TPROXY or NONE, got 'redirect'"),
    (sidecar("proxyCPU", "1 core"), "proxyCPU: must be a quantity such as 100m, 2 or 128Mi, got '1 core'"),
    (sidecar("proxyMemoryLimit", "-1Gi"), "proxyMemoryLimit: must not be negative"),
    (sidecar("nativeSidecar", "yes"), 'nativeSidecar: must be "true" or "false"'),
    (sidecar("capNetBindService", "on"), 'capNetBindService: must be "true" or "false"'),
    (sidecar("rewriteAppHTTPProbers", ""), 'rewriteAppHTTPProbers: must be "true" or "false"'),
    (sidecar("logLevel", "loud"), "logLevel: must be a log level"),
    (sidecar("userVolume", "[1]"), "userVolume: must be a JSON object that maps names to objects"),
    (sidecar("userVolumeMount", "{"), "userVolumeMount: must be JSON"),
    ({"status.sidecar.istio.io/port": "x"}, "status.sidecar.istio.io/port: must be a port"),
    ({"readiness.status.sidecar.istio.io/periodSeconds": "-1"}, "periodSeconds: must be a whole number"),
    ({"prometheus.istio.io/merge-metrics": "ja"}, 'merge-metrics: must be "true" or "false"'),
    (sidecar("userVolume", "[" * 5000), "userVolume: is nested too deeply to be read"),
    ({PROXY_CONFIG: "[" * 5000}, "proxy.istio.io/config: is nested too deeply to be read"),
    ({"prometheus.io/port": "9" * 5000}, "annotation prometheus.io/port: must be a port from 1 to 65535"),
    (OVERRIDING | {"proxy.istio.io/overrides": '{"containers": [{"name": ["x"]}]}'}, "must be what the injector wrote"),
    (
        OVERRIDING | {"proxy.istio.io/overrides": '{"containers": [{"name": "istio-proxy", "env": 5}]}'},
        "spec.containers[istio-proxy].env must be a list of mappings",
    ),
    ({"prometheus.io/port": "metrics"}, "annotation prometheus.io/port: must be a port from 1 to 65535, got 'metrics'"),
    ({"prometheus.io/port": "15090"}, "annotation prometheus.io/port: port 15090 belongs to the proxy"),
    ({"prometheus.istio.io/scrape-targets": "9090,15021"}, "scrape-targets: port 15021 belongs to the proxy"),
    (
        {PROXY_CONFIG: "concurency: 2"},
        'proxy.istio.io/config: concurency: unknown field; did you mean "concurrency"?',
    ),
    (
        {PROXY_CONFIG: "concurrency: two"},
        "proxy.istio.io/config: concurrency: must be a whole number, got 'two'",
    ),
    ({PROXY_CONFIG: "discoveryAddress: pilot"}, "discoveryAddress: must be <host>:<port>, got 'pilot'"),
    ({PROXY_CONFIG: "[1]"}, "proxy.istio.io/config: must be a mapping of fields"),
    ({"proxy.istio.io/overrides": '{"volumes": []}'}, "overrides: must be what the injector wrote"),
    (
        {"inject.istio.io/templates": "sidecars"},
        "there is no template 'sidecars' (inject.istio.io/templates); known: gateway, sidecar",
    ),
]


@pytest.mark.parametrize(("annotations", "message"), BAD)
def test_a_bad_value_is_an_error_that_names_the_annotation(
    annotations: dict[str, str], message: str, pod_of: Callable[..., Any]
) -> None:
    with pytest.raises(InjectionError) as error:
        inject(pod_of(annotations), read_settings())
    assert message in str(error.value)


@pytest.mark.parametrize("status", ['{"containers": [{"a": 1}]}', '{"initContainers": "x"}', "[" * 5000, "5", "{"])
def test_a_status_that_is_not_ours_to_read_counts_as_none(status: str, pod_of: Callable[..., Any]) -> None:
    found = inject(pod_of(sidecar("status", status)), read_settings()).pod
    assert found == inject(pod_of({}), read_settings()).pod


def test_all_bad_annotations_are_named_at_once(pod_of: Callable[..., Any]) -> None:
    with pytest.raises(InjectionError, match=r"proxyCPU.*interceptionMode"):
        inject(pod_of(sidecar("proxyCPU", "x") | sidecar("interceptionMode", "y")), read_settings())


def test_annotations_without_effect_and_risky_pods_are_told(pod_of: Callable[..., Any]) -> None:
    pod = pod_of(
        sidecar("bootstrapOverride", "cm"), spec={"dnsPolicy": "Default"}, app={"securityContext": {"runAsUser": 1337}}
    )
    told = "\n".join(inject(pod, read_settings()).warnings)
    assert "bootstrapOverride has no effect" in told
    assert "dnsPolicy is Default" in told
    assert "container app runs as user 1337" in told
    assert inject(pod_of(), read_settings()).warnings == ()


def test_a_job_with_a_classic_sidecar_is_told_that_it_will_not_end(pod_of: Callable[..., Any]) -> None:
    place = Place("shop", Owner("batch/v1", "Job", "once", "shop"))
    (told,) = inject(pod_of(), read_settings(), place).warnings
    assert "POST http://127.0.0.1:15000/quitquitquit" in told
    assert inject(pod_of(), read_settings(native_sidecars=True), place).warnings == ()


@pytest.mark.parametrize(
    ("pod", "message"),
    [
        ({}, "spec is required"),
        ({"spec": {"containers": []}}, "spec.containers is required"),
        ({"spec": {"containers": "app"}}, "spec.containers must be a list"),
        (
            {
                "metadata": {"annotations": {"sidecar.istio.io/nativeSidecar": "true"}},
                "spec": {"containers": [{"name": "istio-proxy", "image": "auto"}]},
            },
            "nothing but istio-proxy",
        ),
        ({"spec": {"containers": [{"image": "x"}]}}, "spec.containers: each item needs a name"),
        ({"spec": {"containers": [{"name": "a"}, {"name": "a"}]}}, "the name a stands twice"),
        ({"spec": {"containers": [{"name": "a", "env": "X=1"}]}}, r"spec.containers\[a\].env must be a list"),
        ({"metadata": {"annotations": {"a": 1}}, "spec": {"containers": [{"name": "a"}]}}, "put 1 in quotes"),
        (
            {
                "spec": {"containers": [{"name": "istio-proxy", "image": "auto"}]},
                "metadata": {"annotations": {"inject.istio.io/templates": "nothing"}},
            },
            "no template",
        ),
    ],
)
def test_what_is_no_pod_is_refused(pod: dict[str, Any], message: str) -> None:
    with pytest.raises(InjectionError, match=message):
        inject(pod, read_settings())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a", "template t: must be a partial Pod"),
        ("a: [", "template t: this is not YAML"),
        ("metadata: {labels: {a: '{{ missing }}'}}", "template t: 'missing' is undefined"),
        ("metadata: {labels: {a: '{{ labels. }}'}}", "template t: expected name or number"),
        ("spec: {containers: [{image: x}]}", "each item of containers needs the field name"),
        ("metadata: {labels: {a: \"{{ ''.__class__.__mro__ }}\"}}", "template t: .*unsafe|undefined"),
    ],
)
def test_a_bad_template_is_refused(text: str, message: str, pod_of: Callable[..., Any]) -> None:
    settings = read_settings(policy="defaultTemplates: [t]")
    settings.policy.templates["t"] = text
    with pytest.raises(InjectionError, match=message):
        inject(pod_of(), settings)


def test_a_label_cannot_become_structure(pod_of: Callable[..., Any], seen: Any) -> None:
    evil = '"}, "image": "evil:1", "x": {"'
    settings = read_settings(policy="defaultTemplates: [sidecar, t]")
    settings.policy.templates["t"] = "{metadata: {annotations: {copy: '{{ annotations.evil }} {{ 1 }}'}}}"
    pod = pod_of({"evil": evil})
    view = seen(inject(pod, settings).pod)
    assert view["annotation:copy"] == f"{evil} 1"
    assert view["proxy:image"] == "mizzen/proxy:0.1.0"


@pytest.mark.parametrize(
    ("values", "mesh", "policy", "message"),
    [
        (
            "global: {proxy: {statusPort: 70000}}",
            "",
            "",
            "values: global.proxy.statusPort: must be at most 65535, got 70000",
        ),
        ("", "defaultConfig: {interceptionMode: tproxy}", "", "mesh config: defaultConfig.interceptionMode"),
        ("", "- a", "", "mesh config: must be a mapping of fields"),
        (
            "",
            "",
            "neverInjectSelector: [{matchExpressions: [{key: a, operator: In}]}]",
            "values go with the operators In",
        ),
    ],
)
def test_bad_settings_are_refused(values: str, mesh: str, policy: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        read_settings(values, mesh, policy)
