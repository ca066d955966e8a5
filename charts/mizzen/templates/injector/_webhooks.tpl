{{/* The name of the MutatingWebhookConfiguration. */}}
{{- define "mizzen.mutating" -}}
istio-sidecar-injector{{ include "mizzen.suffix" . }}{{ if ne .Release.Namespace "istio-system" }}-{{ .Release.Namespace }}{{ end }}
{{- end }}

{{/* The name of the ValidatingWebhookConfiguration. */}}
{{- define "mizzen.validating" -}}
istio-validator{{ include "mizzen.suffix" . }}-{{ .Release.Namespace }}
{{- end }}

{{/* Which Pods the API server sends: the same as mizzen.injector.injection.webhooks says, which a test compares. */}}
{{- define "mizzen.webhooks" -}}
{{- $revision := include "mizzen.revision" . }}
all:
  - name: rev.namespace
    namespace:
      - {key: istio.io/rev, operator: In, values: [{{ $revision }}]}
      - {key: istio-injection, operator: DoesNotExist}
    pod:
      - {key: sidecar.istio.io/inject, operator: NotIn, values: ["false"]}
  - name: rev.object
    namespace:
      - {key: istio.io/rev, operator: DoesNotExist}
      - {key: istio-injection, operator: DoesNotExist}
    pod:
      - {key: sidecar.istio.io/inject, operator: NotIn, values: ["false"]}
      - {key: istio.io/rev, operator: In, values: [{{ $revision }}]}
  {{- if eq $revision "default" }}
  - name: namespace
    namespace:
      - {key: istio-injection, operator: In, values: [enabled]}
    pod:
      - {key: sidecar.istio.io/inject, operator: NotIn, values: ["false"]}
  - name: object
    namespace:
      - {key: istio-injection, operator: DoesNotExist}
      - {key: istio.io/rev, operator: DoesNotExist}
    pod:
      - {key: sidecar.istio.io/inject, operator: In, values: ["true"]}
      - {key: istio.io/rev, operator: DoesNotExist}
  {{- if .Values.sidecarInjectorWebhook.enableNamespacesByDefault }}
  - name: auto
    namespace:
      - {key: istio-injection, operator: DoesNotExist}
      - {key: istio.io/rev, operator: DoesNotExist}
      - {key: kubernetes.io/metadata.name, operator: NotIn, values: [kube-system, kube-public, kube-node-lease, local-path-storage]}
    pod:
      - {key: sidecar.istio.io/inject, operator: DoesNotExist}
      - {key: istio.io/rev, operator: DoesNotExist}
  {{- end }}
  {{- end }}
{{- end }}
