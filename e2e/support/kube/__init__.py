"""A Kubernetes API server for tests: real programs, or the cluster of E2E_KUBECONFIG.

`programs` finds them, `process` runs one, `certificates` signs, `local` puts etcd, API server and controller manager
together: on loopback, or on a `machine`, which is a network namespace. `node` adds what runs Pods there: scheduler,
kube-proxy, DNS and the kubelet of `support.kubelet`; `containers` has the real kubelet, and runs real images.
`cluster` and `release` are what a test uses, and `mesh` what a story does, at a `place`: `node` or `given`.
"""
