"""The injection engine: whether a Pod gets a sidecar, and what the Pod looks like then.

Pure functions over plain values. A Pod is what JSON gives (`dict[str, Any]`); fields that the engine does not know pass
through untouched. `decide` and `inject` are the two entrances; `docs/injection.md` is the table for users.
"""
