"""xDS to plans, and the decisions of an ADS client. Here, in `io.xds_client` and at the admin port protobuf is read."""

from mizzen.proxy.snapshot.compiler import compile_resource

__all__ = ["compile_resource"]
