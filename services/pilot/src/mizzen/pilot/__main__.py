"""`python -m mizzen.pilot`."""

from __future__ import annotations

import logging
import os
import sys
from functools import partial

from mizzen.pilot.app.pilot import serve
from mizzen.pilot.app.settings import read_settings
from mizzen.runtime.lifecycle import run
from mizzen.runtime.logs import set_up


def main() -> None:
    """Run Pilot; exits with its status."""
    settings = read_settings(sys.argv[1:], os.environ)
    set_up(settings.log_level, settings.log_format)
    logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it tells of every event
    sys.exit(run(partial(serve, settings)))


if __name__ == "__main__":
    main()
