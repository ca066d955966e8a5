"""Tokens of users (JWT): found in requests, verified, and turned into findings that policy and routes rely on.

Facts: RFC 7515 and 7519; Envoy's filter jwt_authn, whose answers these are
(envoy.extensions.filters.http.jwt_authn.v3).
"""
