"""Users show who they are with tokens; the server of the keys is slow, fails, and comes back."""

from __future__ import annotations

import time

import pytest
from support.keyserver import key_server
from support.mesh import Mesh, eventually, get, in_force
from support.tokens import HOUR, Issuer

pytestmark = pytest.mark.runtime("local", reason="elsewhere Pilot does not reach a server of the test")

PRODUCTS = "/api/v1/products"
USERS = Issuer("https://users.example.com", "ES256")
STRANGERS = Issuer("https://users.example.com", "ES256")
"""They say that they are the same."""
TOKENS = """
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {{name: users, namespace: istio-system}}
spec:
  selector: {{matchLabels: {{istio: ingressgateway}}}}
  jwtRules: [{{issuer: "https://users.example.com", jwksUri: "{url}"}}]
"""
POLICY = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: users, namespace: istio-system}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  action: DENY
  rules:
  - {to: [{operation: {paths: [/api/*]}}], from: [{source: {notRequestPrincipals: ["https://users.example.com/*"]}}]}
  - {to: [{operation: {paths: [/api/*]}}], when: [{key: "request.auth.claims[groups]", values: [banned]}]}
"""
TOWARDS_DETAILS = TOKENS.replace("istio-system", "default").replace("istio: ingressgateway", "app: details")


def products(token: str | None = None) -> int:
    """The status of the products for the bearer of a token."""
    return get(PRODUCTS, {} if token is None else {"authorization": f"Bearer {token}"}).status


def test_only_users_see_the_products(mesh: Mesh) -> None:
    with key_server() as keys, in_force(mesh, TOKENS.format(url=keys.url)), in_force(mesh, POLICY):
        eventually(lambda: products() == 403, "products refused to nobody")
        assert get("/productpage").status == 200
        # Until the keys are known, nobody's token is believed.
        eventually(lambda: products(USERS.token()) == 401, "a token of unknown keys refused")
        refusal = get(PRODUCTS, {"authorization": f"Bearer {USERS.token()}"})
        assert refusal.body == b"Jwt verification fails"
        assert refusal.headers["www-authenticate"].endswith('error="invalid_token"')
        keys.become((200, USERS.jwks))
        # Pilot asks again after twice the time that it has tried in vain, a minute at most.
        eventually(lambda: products(USERS.token()) == 200, "products for a user", seconds=60)
        assert products() == 403
        assert products(STRANGERS.token()) == 401
        assert products(USERS.token(exp=int(time.time()) - HOUR)) == 401
        assert products(USERS.token(groups=["guests", "banned"])) == 403
        assert products("nonsense") == 401
        keys.become((500, ""))
        with in_force(mesh, TOWARDS_DETAILS.format(url=keys.url)):  # another configuration; the keys stay known
            eventually(lambda: in_details(mesh, "nonsense") == 401, "a sidecar that refuses nonsense")
            assert in_details(mesh, USERS.token()) == 200
            assert products(USERS.token()) == 200
    eventually(lambda: products() == 200, "products for everybody again")


def in_details(mesh: Mesh, token: str) -> int:
    """The status of details for the bearer of a token, past all sidecars but its own."""
    return mesh.ask("details-v1", 9080, f"/health?access_token={token}")[0]


def test_a_server_that_keeps_everybody_waiting_holds_up_nothing(mesh: Mesh) -> None:
    with key_server() as keys:
        keys.become(None)
        with in_force(mesh, TOKENS.format(url=keys.url)):
            eventually(lambda: keys.asked > 0, "Pilot asks for the keys")
            with in_force(mesh, POLICY):
                eventually(lambda: products() == 403, "the policy, while Pilot waits for the keys")
            eventually(lambda: products() == 200, "the policy is gone")
