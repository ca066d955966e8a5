"""`python -m mizzen.mixer`."""

from __future__ import annotations

import logging
import os
import sys
from functools import partial

from mizzen.mixer.app.mixer import serve
from mizzen.mixer.app.settings import Settings, read_settings
from mizzen.runtime.lifecycle import run
from mizzen.runtime.logs import set_up


def main() -> None:
    """Run Mixer; exits with its status."""
    settings: Settings = read_settings(sys.argv[1:], os.environ)
    set_up(settings.log_level, settings.log_format)
    logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it tells of every event
    sys.exit(run(partial(serve, settings)))


if __name__ == "__main__":
    main()
