"""What simulation tests are made of: a world of YAML, a call, and two ways to decide it.

`simulate` asks Mizzen: YAML → Pilot's mesh → generated xDS → the proxy's plans → the engine's decision, in this process
and without a socket. `RealEnvoy` asks a stock Envoy that runs on the same generated xDS.
"""
