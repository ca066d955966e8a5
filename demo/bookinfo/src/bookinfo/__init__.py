"""Istio's bookinfo sample: productpage, details, reviews v1 to v3 and ratings.

Each service is one aiohttp application (`python -m bookinfo reviews --version v2`); paths and JSON are those of the
sample, so its public walk-throughs work unchanged. A service reaches another by its mesh name and port through the
HTTP proxy that the environment names (`http_proxy`), which is how a sidecar without traffic capture is used.
"""
