"""`python -m mizzen.injector.proxyinit` and the console script `proxy-init`."""

from __future__ import annotations

import sys

from mizzen.injector.proxyinit.program import main

if __name__ == "__main__":
    sys.exit(main())
