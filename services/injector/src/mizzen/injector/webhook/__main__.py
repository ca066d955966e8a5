"""`python -m mizzen.injector.webhook`."""

from __future__ import annotations

import os
import sys
from functools import partial

from mizzen.injector.webhook.service import serve
from mizzen.injector.webhook.settings import read_webhook_settings
from mizzen.runtime.lifecycle import run
from mizzen.runtime.logs import set_up


def main() -> None:
    """Run the injector; exits with its status."""
    settings = read_webhook_settings(sys.argv[1:], os.environ)
    set_up(settings.log_level, settings.log_format)
    sys.exit(run(partial(serve, settings)))


if __name__ == "__main__":
    main()
