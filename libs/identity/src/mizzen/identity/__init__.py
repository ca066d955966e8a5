"""Who a workload is: SPIFFE ids, keys, certificate requests and chains.

Both sides of certification share this: the agent that asks, and the CA that signs. Nothing here does I/O or knows the
time: PEM text and instants are arguments.
"""
