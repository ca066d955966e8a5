"""Mizzen's own protobuf messages. The `_pb2` modules beside this file are generated when the package is built."""
