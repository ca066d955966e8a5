"""The webhook's certificate: made, kept in a Secret, renewed, and never changed under anybody's feet.

`issue` signs, `keeping` decides what the Secret should hold next (no I/O; time is an argument), and `secret` is its
form there. Whoever writes it is `webhook/keeper.py`.
"""
