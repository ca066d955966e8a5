"""A kubelet for tests: it runs Pods as processes of this machine, each Pod in a network namespace of its own.

A container is a process with its own mounts over this machine's files, so that its image need not exist: `images`
reads from images/Dockerfile what one would run. Everything else is as the API server says, and is told to it: volumes,
probes, init containers, sidecars, hooks, restarts, graceful ends. What it cannot do (hostPath, hostNetwork, probes by
gRPC, limits, `kubectl exec` and `logs`) it refuses or leaves out.

`kubelet` follows the API server, `pod` is the life of a Pod and `container` that of a container; `sandbox` has the
network, `rootfs` the mounts, `sources`, `volumes` and `environment` what a container finds, `probes` asks it, `status`
and `node` report.
"""
