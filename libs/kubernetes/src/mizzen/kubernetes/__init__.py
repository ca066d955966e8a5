"""The objects of a Kubernetes API server as stores: config from CRDs, the registry from Services, Pods and the like.

`objects` reads one object, `reflector` keeps one collection (no I/O), `watcher` feeds it by list and watch over
`client`, and `store` puts collections together. `single` follows one object by its name. Of several replicas of a
service, `leader` tells which one may write.
"""
