"""The data plane: an agent that speaks xDS, and lean workers that carry the traffic.

Layers, lower never imports upper: `app → io → snapshot → engine → codec → base`.
The agent compiles xDS into plans (`engine.plan`); a worker binds plans to tables and functions (`engine`)
and runs them for every request (`io`). Only `snapshot` and the agent's part of `io` see protobuf.
"""
