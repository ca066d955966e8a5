"""The Gateway API in terms of Istio's: listeners become Gateways, routes become VirtualServices' routes. No I/O.

What came of an object is told by conditions, which become its status where there is an API server.
"""
