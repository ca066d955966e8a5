"""The page as HTML: `static/` holds the documents and the style, this module fills them in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

STARS = 5
DETAILS = (
    ("type", "Type"),
    ("pages", "Pages"),
    ("publisher", "Publisher"),
    ("language", "Language"),
    ("year", "Year"),
    ("ISBN-10", "ISBN-10"),
    ("ISBN-13", "ISBN-13"),
)


@dataclass(frozen=True, slots=True)
class Page:
    """What the page shows; `details` and `reviews` are the services' JSON, or an error object when not ok."""

    product: Mapping[str, Any]
    user: str
    details: Any
    details_ok: bool
    reviews: Any
    reviews_ok: bool
    workload: str


def render_home() -> str:
    return _document("home.html").substitute(style=_text("style.css"))


def render_page(page: Page) -> str:
    return _document("productpage.html").substitute(
        style=_text("style.css"),
        title=escape(page.product["title"]),
        # The description is our own constant, and HTML by contract (`descriptionHtml`).
        description=page.product["descriptionHtml"],
        author=escape(str(page.details.get("author", ""))) if page.details_ok else "William Shakespeare",
        account=_account(page.user),
        details=_details(page.details) if page.details_ok else _apology(page.details),
        reviews=_reviews(page.reviews) if page.reviews_ok else _apology(page.reviews),
        answered=_answered(page),
        workload=escape(page.workload),
    )


@cache
def _text(name: str) -> str:
    return (files("bookinfo") / "static" / name).read_text(encoding="utf-8")


@cache
def _document(name: str) -> Template:
    return Template(_text(name))


def _account(user: str) -> str:
    if user:
        return f'<span class="user">{escape(user)}</span><a class="button" href="/logout">Sign out</a>'
    return (
        '<form method="post" action="/login"><input name="username" placeholder="Your name, say jason" '
        'aria-label="User name" autocomplete="username" required maxlength="64">'
        '<button class="button">Sign in</button></form>'
    )


def _details(details: Mapping[str, Any]) -> str:
    rows = (
        f"<div><dt>{escape(label)}</dt><dd>{escape(str(details[key]))}</dd></div>"
        for key, label in DETAILS
        if key in details
    )
    return f"<dl>{''.join(rows)}</dl>"


def _answered(page: Page) -> str:
    """Which instance of reviews answered; empty when none did."""
    pod = str(page.reviews.get("podname", "")) if page.reviews_ok else ""
    return f'<span class="badge">answered by <b>{escape(pod)}</b></span>' if pod else ""


def _reviews(reviews: Mapping[str, Any]) -> str:
    return "".join(_review(review) for review in reviews.get("reviews", ()))


def _review(review: Mapping[str, Any]) -> str:
    reviewer = escape(str(review.get("reviewer", "")))
    return (
        f"<article><blockquote>{escape(str(review.get('text', '')))}</blockquote>"
        f'<footer><span class="avatar" aria-hidden="true">{reviewer[-1:]}</span><cite>{reviewer}</cite>'
        f"{_rating(review.get('rating'))}</footer></article>"
    )


def _rating(rating: Mapping[str, Any] | None) -> str:
    if rating is None:
        return ""
    if "stars" not in rating:
        return f'<span class="norating">{escape(str(rating.get("error", "No rating")))}</span>'
    stars = max(0, min(STARS, int(rating["stars"])))
    colour = "red" if rating.get("color") == "red" else "black"
    return (
        f'<span class="stars {colour}" role="img" aria-label="{stars} of {STARS} stars">'
        f"{'★' * stars}<i>{'★' * (STARS - stars)}</i></span>"
    )


def _apology(error: Any) -> str:
    text = error.get("error", "") if isinstance(error, Mapping) else ""
    return f'<p class="down"><b>Not available.</b> {escape(str(text))}</p>'
