"""Istio's and Kubernetes' resources as typed, validated objects; YAML in and out."""
