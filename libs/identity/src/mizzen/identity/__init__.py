"""Who a workload is: SPIFFE ids, keys, certificate requests and chains.

Both sides of certification share this: who asks, and the CA that signs. Nothing here does I/O or knows the time: PEM
text and instants are arguments. Only `keeping` does, which is for processes that have an identity of their own.
"""
