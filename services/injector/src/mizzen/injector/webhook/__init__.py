"""The mutating admission webhook: the API server sends Pods over TLS, and gets patches.

`admission` is the pure part; `files` keeps settings and certificates current, `server` listens. With a cluster to ask
(`cluster`), the leader of the replicas is the `keeper` of certificate and webhook configurations.
"""
