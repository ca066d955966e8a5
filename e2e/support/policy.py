"""Rules of the demo, and what a visitor sees of them; demo/bookinfo/policy has them in Istio's own syntax."""

from __future__ import annotations

from pathlib import Path

from support.mesh import REVIEWS, Answer, get

POLICY = Path(__file__).parents[2] / "demo" / "bookinfo" / "policy"
PAGE = "/productpage"
PRODUCTS = "/api/v1/products"
"""Productpage answers it alone, and so many times a second on a busy machine too."""


def policy(sample: str) -> str:
    """A sample's YAML."""
    return (POLICY / sample).read_text()


def status(headers: dict[str, str] | None = None) -> int:
    """Of the page, as the gateway answers it."""
    return get(PAGE, headers).status


def of_user(user: str) -> Answer:
    """What a user is answered, whom a quota may limit."""
    return get(PRODUCTS, {"end-user": user})


def has_stars() -> bool:
    """Whether some review has a rating."""
    return any("stars" in review.get("rating", {}) for review in get(REVIEWS).json()["reviews"])


def limits_users(user: str) -> bool:
    """Whether many requests of one user are too many."""
    return any(of_user(user).status == 429 for _ in range(30))
