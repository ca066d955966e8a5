{{/* "-REVISION", or nothing: the end of the control plane's names. */}}
{{- define "mizzen.suffix" -}}
{{- if .Values.revision }}-{{ .Values.revision }}{{ end }}
{{- end }}

{{- define "mizzen.revision" -}}
{{- .Values.revision | default "default" }}
{{- end }}

{{/* The name of Pilot's Service, which Istio's tools and sidecars look for. */}}
{{- define "mizzen.pilot" -}}
istiod{{ include "mizzen.suffix" . }}
{{- end }}

{{/* Labels of an object: (dict "root" $ "component" "pilot"). */}}
{{- define "mizzen.labels" -}}
app.kubernetes.io/name: mizzen-{{ .component }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/part-of: mizzen
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
istio.io/rev: {{ include "mizzen.revision" .root }}
{{- end }}

{{/* HUB/NAME:TAG; an image with a slash is whole: (dict "root" $ "image" "pilot"). */}}
{{- define "mizzen.image" -}}
{{- $global := .root.Values.global }}
{{- $variant := "" }}
{{- if $global.variant }}{{ $variant = printf "-%s" $global.variant }}{{ end }}
{{- if contains "/" .image }}{{ .image }}{{ else }}{{ printf "%s/%s:%s%s" $global.hub .image (toString $global.tag) $variant }}{{ end }}
{{- end }}

{{/* The names that the API server calls the injector by, divided by commas. */}}
{{- define "mizzen.injectorHosts" -}}
{{- $host := printf "mizzen-injector%s.%s" (include "mizzen.suffix" .) .Release.Namespace }}
{{- $host }}.svc,{{ $host }}
{{- end }}

{{/* DNS names that Pilot puts into certificates of this release's servers: ACCOUNT.NAMESPACE:NAME, divided by commas. */}}
{{- define "mizzen.dnsNames" -}}
{{- $names := list }}
{{- $certificate := .Values.injector.certificate }}
{{- if and .Values.injector.enabled (not $certificate.secretName) (eq $certificate.signer "pilot") }}
{{- $account := printf "mizzen-injector%s.%s" (include "mizzen.suffix" .) .Release.Namespace }}
{{- range include "mizzen.injectorHosts" . | splitList "," }}{{ $names = append $names (printf "%s:%s" $account .) }}{{ end }}
{{- end }}
{{- if .Values.mixer.enabled }}
{{- $account := printf "mizzen-mixer%s.%s" (include "mizzen.suffix" .) .Release.Namespace }}
{{- range $name := list "istio-policy" "istio-telemetry" }}
{{- $names = append $names (printf "%s:%s" $account (include "mizzen.mixerHost" (dict "root" $ "name" $name))) }}
{{- end }}
{{- end }}
{{- join "," $names }}
{{- end }}

{{/* Where Secrets of gateways are, divided by commas. */}}
{{- define "mizzen.credentialNamespaces" -}}
{{- .Values.pilot.credentialNamespaces | default (list .Release.Namespace) | join "," }}
{{- end }}

{{- define "mizzen.domain" -}}
{{- .Values.meshConfig.domainSuffix | default .Values.global.proxy.clusterDomain }}
{{- end }}

{{/* One of the names that Mixer has: (dict "root" $ "name" "istio-policy"). */}}
{{- define "mizzen.mixerHost" -}}
{{- printf "%s%s.%s.svc.%s" .name (include "mizzen.suffix" .root) .root.Release.Namespace (include "mizzen.domain" .root) }}
{{- end }}

{{/* The mesh config as given, with what depends on this release: Pilot's and Mixer's addresses. */}}
{{- define "mizzen.meshConfig" -}}
{{- $mesh := dict "rootNamespace" .Release.Namespace "domainSuffix" (include "mizzen.domain" .) }}
{{- if .Values.mixer.enabled }}
{{- /* 15004 is mutual TLS, 9091 plain text. */}}
{{- $_ := set $mesh "mixerCheckServer" (printf "%s:15004" (include "mizzen.mixerHost" (dict "root" . "name" "istio-policy"))) }}
{{- $_ := set $mesh "mixerReportServer" (printf "%s:15004" (include "mizzen.mixerHost" (dict "root" . "name" "istio-telemetry"))) }}
{{- end }}
{{- $pilot := printf "%s.%s.svc:15012" (include "mizzen.pilot" .) .Release.Namespace }}
{{- $_ := set $mesh "defaultConfig" (dict "discoveryAddress" $pilot) }}
{{- toYaml (mergeOverwrite $mesh (deepCopy .Values.meshConfig)) }}
{{- end }}
