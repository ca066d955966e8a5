"""Kubernetes' kinds: what is read, what is ignored, what is checked."""

from mizzen.api.kubernetes import Deployment, Endpoints, EndpointSlice, PodPhase, PodStatus, Service

APP = """\
apiVersion: v1
kind: Service
metadata: {name: reviews, labels: {app: reviews}}
spec:
  clusterIP: 10.0.0.7
  sessionAffinity: None
  ports:
  - {port: 9080, name: http, targetPort: web, nodePort: 30000}
  - {port: 9090, targetPort: 9091, protocol: TCP, appProtocol: grpc}
  selector: {app: reviews}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: reviews-v1}
spec:
  replicas: 2
  selector: {matchLabels: {app: reviews}}
  strategy: {type: Recreate}
  template:
    metadata: {labels: {app: reviews, version: v1}}
    spec:
      serviceAccountName: reviews
      volumes: [{name: tmp, emptyDir: {}}]
      containers:
      - name: reviews
        image: reviews:v1
        imagePullPolicy: IfNotPresent
        command: [python, -m, bookinfo]
        env: [{name: PORT, value: "9080"}, {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
        ports: [{containerPort: 9080, name: web}]
        readinessProbe: {httpGet: {path: /health, port: web}, periodSeconds: 2}
---
apiVersion: v1
kind: Pod
metadata:
  name: reviews-v1-0
  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: reviews-v1, uid: x, controller: true}]
spec:
  containers: [{name: reviews}]
status:
  phase: Running
  podIP: 127.1.0.3
  podIPs: [{ip: 127.1.0.3}]
  conditions: [{type: Ready, status: "True", lastProbeTime: null}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: reviews-1, labels: {kubernetes.io/service-name: reviews}}
addressType: IPv4
endpoints:
- addresses: [127.1.0.3]
  conditions: {ready: true}
  targetRef: {kind: Pod, name: reviews-v1-0, namespace: default}
  zone: a
ports: [{name: http, port: 9080}]
---
apiVersion: v1
kind: Endpoints
metadata: {name: ratings}
subsets:
- addresses: [{ip: 10.0.0.1}]
  notReadyAddresses: [{ip: 10.0.0.2, nodeName: n}]
  ports: [{port: 9080, name: http}]
"""


def test_an_application_is_read(read):
    parsed = read(APP)
    assert parsed.problems == ()
    service, deployment, pod, endpoint_slice, endpoints = parsed.resources
    assert isinstance(service.spec, Service)
    assert [port.target_port for port in service.spec.ports] == ["web", 9091]
    assert (service.spec.cluster_ip, service.group) == ("10.0.0.7", "")
    assert isinstance(deployment.spec, Deployment)
    (container,) = deployment.spec.template.spec.containers
    assert container.command == ("python", "-m", "bookinfo")
    assert container.readiness_probe.http_get.port == "web"
    assert deployment.spec.template.metadata.labels["version"] == "v1"
    assert isinstance(pod.status, PodStatus)
    assert (pod.status.pod_ip, pod.status.phase) == ("127.1.0.3", PodPhase.RUNNING)
    assert pod.metadata.owner_references[0].name == "reviews-v1"
    assert isinstance(endpoint_slice.spec, EndpointSlice)
    assert endpoint_slice.spec.endpoints[0].target_ref.name == "reviews-v1-0"
    assert isinstance(endpoints.spec, Endpoints)
    assert endpoints.spec.subsets[0].not_ready_addresses[0].ip == "10.0.0.2"


def test_a_namespace_has_no_namespace(read):
    (resource,) = read(
        "{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {istio-injection: enabled}}}"
    ).resources
    assert (resource.id, resource.metadata.namespace) == ("Namespace shop", "")


def test_what_is_modelled_is_checked(problems_of):
    assert problems_of(
        "Service", "ports: [{port: 1, targetPort: 70000}, {port: 2, protocol: HTTP}, {targetPort: true}]"
    ) == [
        "spec.ports[0].targetPort: must be from 1 to 65535, got 70000",
        "spec.ports[1].protocol: must be one of TCP, UDP, SCTP, got 'HTTP'",
        "spec.ports[2].port: is required",
        "spec.ports[2].targetPort: must be a port number or a port name, got true",
    ]
    assert problems_of("Deployment", "{replicas: -1, template: {spec: {containers: [{image: x}]}}}") == [
        "spec.replicas: must be at least 0, got -1",
        "spec.template.spec.containers[0].name: is required",
    ]
