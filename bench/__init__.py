"""Mizzen's proxy beside other proxies on one machine: the same config, the same load, runs taken in turns.

    python -m bench --cases http1-sidecar,tcp-bulk --out bench/results [--quick]

Mizzen and Envoy are both configured by one Pilot from one set of Istio YAML; HAProxy gets the same routes in its own
language, rendered from the same `Scenario`. Only ratios of one run mean anything: absolute figures drift by the hour.
"""
