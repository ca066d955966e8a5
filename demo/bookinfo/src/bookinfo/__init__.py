"""Istio's bookinfo sample: productpage, details, reviews v1 to v3 and ratings."""
