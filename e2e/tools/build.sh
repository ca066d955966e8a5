#!/usr/bin/env bash
# Builds the servers and clients of go.mod into bin/, as far as they are missing or older than go.mod,
# and fetches the definitions of the Gateway API beside them.
# What KUBEBUILDER_ASSETS holds (a folder as envtest makes it) is taken from there.
set -euo pipefail
cd "$(dirname "$0")"

programs=(
  k8s.io/kubernetes/cmd/kube-apiserver
  k8s.io/kubernetes/cmd/kube-controller-manager
  k8s.io/kubernetes/cmd/kubectl
  k8s.io/kubernetes/cmd/kube-proxy
  k8s.io/kubernetes/cmd/kube-scheduler
  k8s.io/kubernetes/cmd/kubelet
  helm.sh/helm/v3/cmd/helm
  github.com/coredns/coredns
)
# It has requirements of its own, which do not agree with those of go.mod.
coredns=v1.13.1
# That one belongs to the same Kubernetes as go.mod's.
gateway_api=v1.4.1

missing=()
for program in "${programs[@]}"; do
  name=${program##*/}
  [ -n "${KUBEBUILDER_ASSETS:-}" ] && [ -x "$KUBEBUILDER_ASSETS/$name" ] && continue
  [ -x "bin/$name" ] && [ ! go.mod -nt "bin/$name" ] && continue
  missing+=("$program")
done
[ -d "bin/gateway-api/$gateway_api" ] || missing+=(gateway-api)
[ -x "${KUBEBUILDER_ASSETS:-/nonexistent}/etcd" ] || command -v etcd >/dev/null ||
  { echo "There is no etcd: install Debian's etcd-server, or set KUBEBUILDER_ASSETS." >&2; exit 1; }
[ ${#missing[@]} -gt 0 ] || exit 0
command -v go >/dev/null ||
  { echo "There is no Go, which builds ${missing[*]##*/}: install Go 1.26 or newer, or set KUBEBUILDER_ASSETS." >&2; exit 1; }

# Programs that were built as tools do not know their version, and helm and kubectl compare versions.
version_of() { go list -m -f '{{.Version}}' "$1"; }
kubernetes=$(version_of k8s.io/kubernetes)
IFS=. read -r major minor _ <<<"${kubernetes#v}"
flags="-s -w -X helm.sh/helm/v3/internal/version.version=$(version_of helm.sh/helm/v3)"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  flags+=" -X $package.gitVersion=$kubernetes -X $package.gitMajor=$major -X $package.gitMinor=$minor"
done
for package in helm.sh/helm/v3/pkg/lint/rules helm.sh/helm/v3/pkg/chartutil; do
  flags+=" -X $package.k8sVersionMajor=$major -X $package.k8sVersionMinor=$minor"
done

mkdir -p bin
for program in "${missing[@]}"; do
  if [ "$program" = gateway-api ]; then
    folder=$(go mod download -json "sigs.k8s.io/gateway-api@$gateway_api" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
    rm -rf bin/gateway-api bin/.gateway-api && mkdir -p bin/.gateway-api/"$gateway_api"
    install -m 644 "$folder"/config/crd/standard/*.yaml bin/.gateway-api/"$gateway_api"
    mv bin/.gateway-api bin/gateway-api
    continue
  fi
  echo "Building ${program##*/} (the first time takes some minutes) ..."
  if [ "${program##*/}" = coredns ]; then
    GOBIN="$PWD/bin/.coredns" go install -ldflags '-s -w' "$program@$coredns"
    mv bin/.coredns/coredns bin/coredns && rmdir bin/.coredns
  else
    go build -buildvcs=false -ldflags "$flags" -o "bin/.${program##*/}" "$program"
    mv "bin/.${program##*/}" "bin/${program##*/}"
  fi
done
