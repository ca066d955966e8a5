"""Mesh and proxy in, Envoy resources out; one module per xDS type.

Every generator is a function of one frozen inputs record, which is its cache key too: it cannot read what it is not
keyed by. No I/O, no globals. The entry is `mizzen.pilot.generate.api.generate`.
"""
