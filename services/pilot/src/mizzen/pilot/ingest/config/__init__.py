"""Stores of Istio's configuration."""
