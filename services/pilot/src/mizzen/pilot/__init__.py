"""The control plane: configuration and services in, xDS out.

Layers, lower never imports upper: `app → xds → push | generate → ingest | snapshot → base`.
"""
