"""xDS to plans, and the decisions of an ADS client; with `io.xds_client` and the admin port the only reader of protos."""

from mizzen.proxy.snapshot.compiler import compile_resource

__all__ = ["compile_resource"]
