"""`python -m mizzen.proxy`."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from functools import partial

from mizzen.proxy.app.settings import Defaults, Settings, read_settings
from mizzen.runtime.lifecycle import Lifecycle, run
from mizzen.runtime.logs import set_up

Service = Callable[[Settings, Lifecycle], Awaitable[None]]


def main(defaults: Defaults | None = None) -> None:
    """Run a proxy; exits with its status. Another entry point may preset flags."""
    settings = read_settings(sys.argv[1:], os.environ, defaults)
    set_up(settings.log_level, settings.log_format)
    sys.exit(run(partial(_service(settings), settings)))


def _service(settings: Settings) -> Service:
    """The engine, with the Pod's server around it where there is a Pod; the others do without its memory."""
    if settings.pod is None:
        return _engine(settings)
    from mizzen.proxy.app.pod.server import serve_with_pod

    return partial(serve_with_pod, _engine(settings), settings.pod)


def _engine(settings: Settings) -> Service:
    """Only the engine that runs is imported."""
    # Starting a worker, or Envoy, is fork and exec; gRPC would write a line about each.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
    if settings.engine == "envoy":
        from mizzen.proxy.app.envoy import serve as serve_envoy

        return serve_envoy
    from mizzen.proxy.app.agent import serve

    return serve


if __name__ == "__main__":
    main()
