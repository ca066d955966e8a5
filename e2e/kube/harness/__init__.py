"""A Kubernetes API server for tests: real programs on loopback, or the cluster of E2E_KUBECONFIG.

`programs` finds them, `process` runs one, `certificates` signs, `local` puts etcd, API server and controller manager
together, `cluster` is what a test uses.
"""
