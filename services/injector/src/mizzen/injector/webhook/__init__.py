"""The admission webhooks: the API server sends Pods over TLS and gets patches, and configuration and gets a verdict.

`admission` (Pods) and `validation` (configuration) are the pure parts; `files` keeps settings and certificates
current, `server` listens. With a cluster to ask (`cluster`), the leader of the replicas is the `keeper` of certificate
and webhook configurations.
"""
