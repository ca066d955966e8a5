"""Hosts of their own for tests: network namespaces with addresses of both families, and programs inside them."""
