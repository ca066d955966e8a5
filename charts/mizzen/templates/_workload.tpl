{{/*
What the Deployments have in common. Each is described by a dict:
  root, component, name, selector (labels of its Pods), values (its part of the values), ports (numbers that others may reach).
*/}}

{{- define "mizzen.workloads" -}}
{{- $suffix := include "mizzen.suffix" . }}
{{- $all := list }}
{{- $selector := dict "app" (include "mizzen.pilot" .) "istio" "pilot" }}
{{- $ports := list 15012 15014 }}
{{- if .Values.pilot.plaintextXds }}{{ $ports = prepend $ports 15010 }}{{ end }}
{{- $all = append $all (dict "component" "pilot" "name" (printf "mizzen-pilot%s" $suffix) "selector" $selector "values" .Values.pilot "ports" $ports "metrics" (list 15014)) }}
{{- if .Values.mixer.enabled }}
{{- $name := printf "mizzen-mixer%s" $suffix }}
{{- $ports := list 15004 15014 42422 }}
{{- if .Values.mixer.plaintext }}{{ $ports = prepend $ports 9091 }}{{ end }}
{{- $all = append $all (dict "component" "mixer" "name" $name "selector" (dict "app" $name "istio" "mixer") "values" .Values.mixer "ports" $ports "metrics" (list 15014 42422)) }}
{{- end }}
{{- if .Values.injector.enabled }}
{{- $name := printf "mizzen-injector%s" $suffix }}
{{- $all = append $all (dict "component" "injector" "name" $name "selector" (dict "app" $name "istio" "sidecar-injector") "values" .Values.injector "ports" (list 15014 15017) "metrics" (list 15014)) }}
{{- end }}
{{- range $kind := list "ingress" "egress" }}
{{- $gateway := index $.Values.gateways $kind }}
{{- if $gateway.enabled }}
{{- $ports := list 15021 15090 }}
{{- range $gateway.service.ports }}{{ $ports = append $ports (.targetPort | default .port) }}{{ end }}
{{- $all = append $all (dict "component" (printf "%s-gateway" $kind) "name" $gateway.name "selector" $gateway.labels "values" $gateway "ports" ($ports | uniq) "metrics" (list 15090)) }}
{{- end }}
{{- end }}
{{- toYaml (dict "all" $all) }}
{{- end }}

{{/* One of them: (dict "root" $ "component" "mixer"). */}}
{{- define "mizzen.workload" -}}
{{- range (include "mizzen.workloads" .root | fromYaml).all }}
{{- if eq .component $.component }}{{ toYaml . }}{{ end }}
{{- end }}
{{- end }}

{{- define "mizzen.deploymentSpec" -}}
{{- if not .values.autoscale.enabled }}
replicas: {{ .values.replicas }}
{{- end }}
selector:
  matchLabels: {{- toYaml .selector | nindent 4 }}
strategy:
  rollingUpdate:
    maxSurge: 1
    maxUnavailable: 0
{{- end }}

{{- define "mizzen.podMetadata" -}}
labels:
  {{- include "mizzen.labels" . | nindent 2 }}
  {{- toYaml .selector | nindent 2 }}
  sidecar.istio.io/inject: "false"
  {{- with .values.podLabels }}{{ toYaml . | nindent 2 }}{{ end }}
{{- $annotations := dict }}
{{- if .root.Values.monitoring.annotations }}
{{- $path := ternary "/stats/prometheus" "/metrics" (hasSuffix "gateway" .component) }}
{{- $annotations = dict "prometheus.io/scrape" "true" "prometheus.io/port" (first .metrics | toString) "prometheus.io/path" $path }}
{{- end }}
{{- with mergeOverwrite $annotations .values.podAnnotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Where its Pods run and as whom: (the workload's dict and "user"). */}}
{{- define "mizzen.podSpec" -}}
serviceAccountName: {{ .name }}
automountServiceAccountToken: {{ has .component (list "pilot" "mixer" "injector") }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .user }}
  runAsGroup: {{ .user }}
  fsGroup: {{ .user }}
  seccompProfile:
    type: RuntimeDefault
{{- with .root.Values.global.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .root.Values.global.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- toYaml .selector | nindent 8 }}
{{- end }}

{{/* Image, rights and resources of its container: (the workload's dict and "image"). */}}
{{- define "mizzen.container" -}}
image: {{ include "mizzen.image" . }}
{{- with .root.Values.global.imagePullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
resources: {{- toYaml .values.resources | nindent 2 }}
{{- end }}

{{/* Settings of the workload that the user gives: (the workload's dict and "prefix"). */}}
{{- define "mizzen.env" -}}
- name: {{ .prefix }}_LOG_LEVEL
  value: {{ .values.logLevel }}
- name: {{ .prefix }}_LOG_FORMAT
  value: {{ ternary "json" "text" .root.Values.global.logAsJson }}
{{- range $name, $value := .values.env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{- define "mizzen.readiness" -}}
readinessProbe:
  httpGet:
    path: /ready
    port: 15014
  periodSeconds: 5
  timeoutSeconds: 3
{{- end }}
