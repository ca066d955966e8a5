"""Mixer in what Pilot generates: our own proxy's filter, and a stock Envoy's authorization and logs."""

import ipaddress
from collections.abc import Callable
from typing import Any

import pytest
from envoy.extensions.access_loggers.grpc.v3 import als_pb2
from envoy.extensions.filters.http.ext_authz.v3 import ext_authz_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2

from mizzen.pilot.base.meshconfig import MeshConfig
from mizzen.pilot.generate.affects import affected_types
from mizzen.pilot.generate.typeurls import LISTENER, ROUTE
from mizzen.pilot.snapshot.diff import difference
from mizzen.proto import mixer_client_pb2 as pb

POLICY = "outbound|9091||istio-policy.istio-system.svc.cluster.local"
TELEMETRY = "outbound|9091||istio-telemetry.istio-system.svc.cluster.local"
OWN = {"MIZZEN_PROXY": "1"}
WEB = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  clusterIP: 10.96.0.1
  ports: [{port: 80, name: http, targetPort: 8080}, {port: 90, name: tcp}]
  selector: {app: web}
---
apiVersion: v1
kind: Service
metadata: {name: istio-policy, namespace: istio-system}
spec: {ports: [{port: 9091, name: grpc-mixer}], selector: {istio: mixer}}
---
apiVersion: v1
kind: Service
metadata: {name: istio-telemetry, namespace: istio-system}
spec: {ports: [{port: 9091, name: grpc-mixer}], selector: {istio: mixer}}
"""
GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: front}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: ["*"]
  gateways: [front]
  http: [{route: [{destination: {host: web, port: {number: 80}}}]}]
"""
DENY = """
apiVersion: config.istio.io/v1alpha2
kind: denier
metadata: {name: deny}
---
apiVersion: config.istio.io/v1alpha2
kind: checknothing
metadata: {name: all}
---
apiVersion: config.istio.io/v1alpha2
kind: rule
metadata: {name: deny}
spec: {match: 'request.headers["end-user"] == "x"', actions: [{handler: deny.denier, instances: [all.checknothing]}]}
"""
QUOTA = """
apiVersion: config.istio.io/v1alpha2
kind: QuotaSpec
metadata: {name: count}
spec: {rules: [{quotas: [{quota: requestcount, charge: 2}]}]}
---
apiVersion: config.istio.io/v1alpha2
kind: QuotaSpecBinding
metadata: {name: count}
spec: {quotaSpecs: [{name: count}], services: [{name: web}]}
---
apiVersion: config.istio.io/v1alpha2
kind: HTTPAPISpec
metadata: {name: api}
spec:
  attributes: {attributes: {api.service: {stringValue: shop}}}
  patterns:
  - {httpMethod: GET, uriTemplate: "/items/{id}", attributes: {attributes: {api.operation: {stringValue: item}}}}
---
apiVersion: config.istio.io/v1alpha2
kind: HTTPAPISpecBinding
metadata: {name: api}
spec: {apiSpecs: [{name: api}], services: [{service: web.default.svc.cluster.local}]}
"""
SPLIT = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web]
  http:
  - route:
    - {destination: {host: web, port: {number: 80}}, weight: 50}
    - {destination: {host: istio-policy.istio-system.svc.cluster.local, port: {number: 9091}}, weight: 50}
"""


def settings(**values: Any) -> MeshConfig:
    return MeshConfig(
        mixer_check_server="istio-policy.istio-system.svc.cluster.local:9091",
        mixer_report_server="istio-telemetry.istio-system.svc.cluster.local:9091",
        **values,
    )


def managers(listener: Any) -> list[Any]:
    found = []
    chains = [
        *listener.filter_chains,
        *([listener.default_filter_chain] if listener.default_filter_chain.filters else []),
    ]
    for item in (f for chain in chains for f in chain.filters):
        message = hcm_pb2.HttpConnectionManager()
        if item.typed_config.Unpack(message):
            found.append(message)
    return found


def chain(listener: Any, name: str) -> Any:
    return next(c for c in listener.filter_chains if c.name == name)


def client(manager: Any) -> Any:
    message = pb.HttpClientConfig()
    assert manager.http_filters[0].name == "mixer"
    assert manager.http_filters[0].typed_config.Unpack(message)
    return message


def values(attributes: Any) -> dict[str, Any]:
    return {name: getattr(v, v.WhichOneof("value")) for name, v in attributes.attributes.items()}


def service_config(configs: Any, key: str = "mixer") -> Any:
    message = pb.ServiceConfig() if key == "mixer" else ext_authz_pb2.ExtAuthzPerRoute()
    assert configs[key].Unpack(message)
    return message


WEB_SERVICE = {
    "destination.service": "web.default.svc.cluster.local",
    "destination.service.host": "web.default.svc.cluster.local",
    "destination.service.name": "web",
    "destination.service.namespace": "default",
    "destination.service.uid": "istio://default/services/web",
}


@pytest.mark.parametrize("metadata", [OWN, {}])
def test_without_mixer_in_the_mesh_config_there_is_no_trace_of_it(world: Any, sidecar: Any, metadata: Any) -> None:
    made = world(WEB, DENY).listeners(sidecar(LABELS={"app": "web"}, **metadata))
    assert made
    assert not any(b"mixer" in message.SerializeToString() for message in made.values())


def test_requests_that_leave_say_where_they_come_from_and_where_they_go(world: Any, sidecar: Any) -> None:
    mesh = world(WEB, settings=settings())
    proxy = sidecar(**OWN)
    [manager] = managers(mesh.listeners(proxy)["0.0.0.0_80"])
    found = client(manager)
    uid = "kubernetes://client.default"
    assert values(found.mixer_attributes) == {
        "source.uid": uid,
        "source.namespace": "default",
        "context.reporter.uid": uid,
        "context.reporter.kind": "outbound",
    }
    assert values(found.forward_attributes) == {"source.uid": uid}
    assert found.transport.check_cluster == POLICY
    assert found.transport.report_cluster == TELEMETRY
    assert values(found.transport.attributes_for_mixer_proxy) == {"source.uid": uid}
    assert found.transport.network_fail_policy.policy == pb.NetworkFailPolicy.FAIL_CLOSE
    assert found.default_destination_service == "default"
    assert found.service_configs["default"].disable_check_calls
    assert not found.ignore_forwarded_attributes
    [route] = mesh.hosts(proxy, "80")["web.default.svc.cluster.local:80"].routes
    stated = service_config(route.typed_per_filter_config)
    assert values(stated.mixer_attributes) == values(stated.forward_attributes) == WEB_SERVICE
    assert stated.disable_check_calls
    assert not stated.disable_report_calls


def test_weighted_clusters_have_a_service_each(world: Any, sidecar: Any) -> None:
    [route] = (
        world(WEB, SPLIT, settings=settings()).hosts(sidecar(**OWN), "80")["web.default.svc.cluster.local:80"].routes
    )
    hosts = [
        values(service_config(weighted.typed_per_filter_config).mixer_attributes)["destination.service.host"]
        for weighted in route.route.weighted_clusters.clusters
    ]
    assert hosts == ["web.default.svc.cluster.local", "istio-policy.istio-system.svc.cluster.local"]
    assert not route.typed_per_filter_config


def test_requests_that_arrive_are_checked_once_a_rule_decides(world: Any, sidecar: Any) -> None:
    proxy = sidecar(LABELS={"app": "web"}, **OWN)
    for texts, asked in (((WEB, QUOTA), False), ((WEB, QUOTA, DENY), True)):
        listener = world(*texts, settings=settings()).listeners(proxy)["virtualInbound"]
        [manager] = managers(type(listener)(filter_chains=[chain(listener, "0.0.0.0_8080")]))
        found = client(manager)
        assert values(found.mixer_attributes) == {
            "destination.uid": "kubernetes://client.default",
            "destination.namespace": "default",
            "destination.ip": ipaddress.ip_address("::ffff:10.0.0.9").packed,
            "destination.port": 8080,
            "context.reporter.uid": "kubernetes://client.default",
            "context.reporter.kind": "inbound",
        }
        assert not found.forward_attributes.attributes
        [host] = manager.route_config.virtual_hosts
        stated = service_config(host.routes[0].typed_per_filter_config)
        assert values(stated.mixer_attributes) == WEB_SERVICE
        assert stated.disable_check_calls is not asked
        assert found.service_configs["default"].disable_check_calls is not asked
        [spec] = stated.quota_spec
        assert (spec.rules[0].quotas[0].quota, spec.rules[0].quotas[0].charge) == ("requestcount", 2)
        [api] = stated.http_api_spec
        assert values(api.attributes) == {"api.service": "shop"}
        assert api.patterns[0].uri_template == "/items/{id}"


@pytest.mark.parametrize(
    ("mesh", "annotation", "inbound", "outbound", "gateway"),
    [
        ({}, "", False, False, False),
        ({"disable_policy_checks": False}, "", True, False, True),
        ({"disable_policy_checks": False, "enable_client_side_policy_check": True}, "", True, True, True),
        ({"disable_policy_checks": True, "enable_client_side_policy_check": True}, "", False, False, False),
        ({"disable_policy_checks": True}, "enable", True, True, True),
        ({"disable_policy_checks": True}, "allow-on-error", True, True, True),
        ({"disable_policy_checks": False}, "disable", False, False, False),
    ],
)
def test_who_checks(
    world: Any, sidecar: Any, router: Any, mesh: Any, annotation: str, inbound: bool, outbound: bool, gateway: bool
) -> None:
    made = world(WEB, GATEWAY, settings=settings(**mesh))
    stated = {"ANNOTATIONS": {"policy.istio.io/check": annotation}} if annotation else {}
    listeners = made.listeners(sidecar(LABELS={"app": "web"}, **OWN, **stated))

    def checked(listener: Any) -> set[bool]:
        return {not client(m).service_configs["default"].disable_check_calls for m in managers(listener)}

    assert checked(listeners["virtualInbound"]) == {inbound}
    assert checked(listeners["0.0.0.0_80"]) == {outbound}
    door = router(**OWN, **stated)
    assert checked(made.listeners(door)["0.0.0.0_80"]) == {gateway}
    assert client(managers(made.listeners(door)["0.0.0.0_80"])[0]).ignore_forwarded_attributes
    fail = client(managers(listeners["0.0.0.0_80"])[0]).transport.network_fail_policy.policy
    assert (fail == pb.NetworkFailPolicy.FAIL_OPEN) is (annotation == "allow-on-error")


def test_an_annotation_that_means_nothing_is_refused(sidecar: Any) -> None:
    with pytest.raises(ValueError, match="enable, disable or allow-on-error"):
        sidecar(**{"policy.istio.io/check": "off"})


def test_connections_have_the_network_filter_before_the_proxy(world: Any, sidecar: Any) -> None:
    mesh = world(WEB, settings=settings(disable_policy_checks=False))
    listeners = mesh.listeners(sidecar(LABELS={"app": "web"}, **OWN))
    outgoing = listeners["10.96.0.1_90"].filter_chains[0].filters
    arriving = chain(listeners["virtualInbound"], "0.0.0.0_90").filters
    for filters, kind, checked in ((outgoing, "outbound", False), (arriving, "inbound", True)):
        assert [f.name for f in filters] == ["mixer", "envoy.filters.network.tcp_proxy"]
        message = pb.TcpClientConfig()
        assert filters[0].typed_config.Unpack(message)
        stated = values(message.mixer_attributes)
        assert stated["context.reporter.kind"] == kind
        assert stated["destination.service.name"] == "web"
        assert message.disable_check_calls is not checked
    hole = chain(listeners["virtualInbound"], "virtualInbound-blackhole").filters
    assert [f.name for f in hole] == ["envoy.filters.network.tcp_proxy"]


def test_a_stock_sidecar_asks_about_what_arrives_and_reports_everything(world: Any, sidecar: Any) -> None:
    mesh = world(WEB, DENY, QUOTA, settings=settings())
    listeners = mesh.listeners(sidecar(LABELS={"app": "web"}))
    arriving = managers(
        type(listeners["virtualInbound"])(filter_chains=[chain(listeners["virtualInbound"], "0.0.0.0_8080")])
    )[0]
    authorization = ext_authz_pb2.ExtAuthz()
    assert arriving.http_filters[0].disabled  # but for routes that say what they are about
    assert arriving.http_filters[0].typed_config.Unpack(authorization)
    assert authorization.grpc_service.envoy_grpc.cluster_name == POLICY
    assert not authorization.failure_mode_allow
    assert authorization.status_on_error.code == 503
    route = arriving.route_config.virtual_hosts[0].routes[0]
    extensions = dict(
        service_config(route.typed_per_filter_config, "envoy.filters.http.ext_authz").check_settings.context_extensions
    )
    assert extensions == {
        **WEB_SERVICE,
        "destination.uid": "kubernetes://client.default",
        "destination.namespace": "default",
        "destination.ip": "10.0.0.9",
        "destination.port": "8080",
        "context.reporter.uid": "kubernetes://client.default",
        "context.reporter.kind": "inbound",
        "quota/requestcount": "2",
    }
    [leaving] = managers(listeners["0.0.0.0_80"])
    assert "ext_authz" not in str(leaving.http_filters)
    for manager in (arriving, leaving):
        log = als_pb2.HttpGrpcAccessLogConfig()
        assert manager.access_log[-1].typed_config.Unpack(log)
        assert log.common_config.grpc_service.envoy_grpc.cluster_name == TELEMETRY
        assert "end-user" in log.additional_request_headers_to_log
    tags = {tag.tag: tag.literal.value for tag in log.common_config.custom_tags}
    assert tags["context.reporter.kind"] == "outbound"
    assert not mesh.hosts(sidecar(), "80")["web.default.svc.cluster.local:80"].routes[0].typed_per_filter_config


def test_a_stock_sidecar_reports_connections_and_keeps_its_other_log_at_the_end(world: Any, sidecar: Any) -> None:
    mesh = world(WEB, settings=settings(access_log_file="/dev/stdout"))
    [only] = mesh.listeners(sidecar())["10.96.0.1_90"].filter_chains[:1] or [None]
    message = tcp_proxy_pb2.TcpProxy()
    assert only is not None
    assert only.filters[0].typed_config.Unpack(message)
    file, report = message.access_log
    assert file.filter.log_type_filter.types
    assert report.name == "envoy.access_loggers.tcp_grpc"
    assert message.access_log_options.flush_access_log_on_connected


def test_a_stock_gateway_asks_with_the_service_of_each_route(world: Any, router: Any) -> None:
    mesh = world(WEB, GATEWAY, DENY, settings=settings(policy_check_fail_open=True))
    [manager] = managers(mesh.listeners(router())["0.0.0.0_80"])
    authorization = ext_authz_pb2.ExtAuthz()
    assert manager.http_filters[0].disabled  # listeners come before routes: those that know no Mixer yet ask nobody
    assert manager.http_filters[0].typed_config.Unpack(authorization)
    assert authorization.failure_mode_allow
    [host] = mesh.hosts(router(), "http.80").values()
    key = "envoy.filters.http.ext_authz"
    of_host = service_config(host.typed_per_filter_config, key).check_settings.context_extensions
    assert of_host["context.reporter.kind"] == "outbound"
    of_route = service_config(host.routes[0].typed_per_filter_config, key).check_settings.context_extensions
    assert dict(of_route) == WEB_SERVICE


def test_reports_of_requests_can_be_switched_off(world: Any, sidecar: Any) -> None:
    mesh = world(WEB, settings=settings(disable_mixer_http_reports=True))
    [manager] = managers(mesh.listeners(sidecar(**OWN))["0.0.0.0_80"])
    assert client(manager).service_configs["default"].disable_report_calls
    [stock] = managers(mesh.listeners(sidecar())["0.0.0.0_80"])
    assert not stock.access_log


def test_a_narrow_view_still_reaches_mixer(world: Any, sidecar: Any) -> None:
    narrow = """
    apiVersion: networking.istio.io/v1
    kind: Sidecar
    metadata: {name: default}
    spec: {egress: [{hosts: ["./web.default.svc.cluster.local"]}]}
    """
    slice_ = """
    apiVersion: discovery.k8s.io/v1
    kind: EndpointSlice
    metadata: {name: istio-policy-1, namespace: istio-system, labels: {kubernetes.io/service-name: istio-policy}}
    addressType: IPv4
    ports: [{name: grpc-mixer, port: 9091}]
    endpoints: [{addresses: [10.1.1.1], conditions: {ready: true}}]
    """
    mesh = world(WEB, narrow, slice_, settings=settings())
    clusters = mesh.clusters(sidecar(**OWN))
    assert {POLICY, TELEMETRY} <= clusters.keys()
    [packed] = clusters[POLICY].typed_extension_protocol_options.values()
    options = http_protocol_options_pb2.HttpProtocolOptions()
    assert packed.Unpack(options)
    assert options.explicit_http_config.HasField("http2_protocol_options")
    assert mesh.endpoints(sidecar(**OWN), POLICY) == {POLICY: [("10.1.1.1", 9091)]}


def test_only_policy_that_proxies_see_is_pushed(world: Callable[..., Any], sidecar: Any) -> None:
    old = world(WEB, settings=settings())
    proxy = sidecar(LABELS={"app": "web"}, **OWN)

    def pushed(*texts: str) -> tuple[str, ...]:
        new = world(WEB, *texts, settings=settings(), previous=old.mesh)
        return affected_types(difference(old.mesh, new.mesh), proxy, old.mesh, new.mesh)

    assert pushed(DENY) == (LISTENER, ROUTE)
    assert pushed(QUOTA) == (LISTENER, ROUTE)
    assert pushed(DENY.partition("---")[0]) == ()
