"""The mesh at one instant: Kubernetes and Istio resources become an immutable Mesh with indexes.

Pure functions; no protobuf and no I/O. What validates but cannot be used becomes a Problem in `Mesh.problems`.
"""
