"""`python -m bookinfo SERVICE [--version V]`: serve until SIGTERM or SIGINT, then finish what is under way."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from aiohttp import web

from bookinfo.details import make_details
from bookinfo.productpage import make_productpage
from bookinfo.ratings import make_ratings
from bookinfo.reviews import make_reviews
from bookinfo.settings import Settings, read_settings

MAKERS: dict[str, Callable[[Settings], web.Application]] = {
    "productpage": make_productpage,
    "details": make_details,
    "reviews": make_reviews,
    "ratings": make_ratings,
}
GRACE_SECONDS = 5.0
KEEPALIVE_SECONDS = (
    3700.0  # longer than a proxy keeps an idle connection, so that none is closed under its next request
)


def main() -> None:
    settings = read_settings(sys.argv[1:], os.environ)
    app = MAKERS[settings.service](settings)
    web.run_app(
        app,
        host=settings.address,
        port=settings.port,
        shutdown_timeout=GRACE_SECONDS,
        keepalive_timeout=KEEPALIVE_SECONDS,
        print=None,
        handler_cancellation=True,
    )


if __name__ == "__main__":
    main()
