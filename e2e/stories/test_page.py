"""A visitor opens the demo; an operator looks at what runs."""

from __future__ import annotations

from support.mesh import Mesh, count_versions, eventually, get


def test_the_page_shows_the_book_with_its_reviews(mesh: Mesh) -> None:
    page = get("/productpage")
    assert page.status == 200
    assert page.headers["content-type"].startswith("text/html")
    text = page.body.decode()
    assert "The Comedy of Errors" in text
    assert "Reviewer1" in text
    assert page.headers["x-mizzen-workload"] == "productpage-v1"


def test_the_api_answers_what_istios_sample_answers(mesh: Mesh) -> None:
    assert get("/api/v1/products").json()[0]["title"] == "The Comedy of Errors"
    assert get("/api/v1/products/0/ratings").json() == {"id": 0, "ratings": {"Reviewer1": 5, "Reviewer2": 4}}


def test_without_routing_rules_every_version_of_reviews_answers(mesh: Mesh) -> None:
    assert set(count_versions(60)) == {"v1", "v2", "v3"}


def test_a_path_that_no_rule_exposes_is_refused_at_the_gateway(mesh: Mesh) -> None:
    answer = get("/ratings/0")
    assert answer.status == 404
    assert answer.headers["server"] == "istio-envoy"


def test_every_proxy_is_synced(mesh: Mesh) -> None:
    def synced() -> bool:
        rows = mesh.table("proxy-status")
        busy = [row for row in rows if not row["name"].startswith("istio-egressgateway")]  # no Gateway needs it here
        states = {row[kind] for row in busy for kind in ("cds", "lds", "eds", "rds")}
        return len(rows) == mesh.proxies and states == {"SYNCED"}

    # What the story before this one took away may be on its way to them.
    eventually(synced, "every proxy in step with Pilot")


def test_the_status_names_every_process_and_its_address(mesh: Mesh) -> None:
    status = mesh.table("status")
    assert {row["state"] for row in status["processes"]} == {"running"}
    assert status["engine"] == mesh.engine
