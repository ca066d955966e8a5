"""Identities in a mesh of this machine: who issues tokens, where the authority is, and which workloads have TLS.

The mesh config can switch it off: `enableAutoMtls: false`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import yaml
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

from mizzen.cli.local import layout, mixer
from mizzen.cli.local.desired import PodTemplateSpec
from mizzen.cli.local.home import Home
from mizzen.cli.local.mixer import secures_mixer
from mizzen.identity.spiffe import DEFAULT_TRUST_DOMAIN
from mizzen.runtime.files import write_atomic

TLS_LABEL: Final = {"security.istio.io/tlsMode": "istio"}
"""Carried by workloads that can speak mutual TLS."""
SECURE: Final = f"{layout.PILOT}:{layout.SECURE_PORT}"
TOKEN_SECONDS: Final = 365 * 24 * 3600
"""A token is written when a pod is made, and must do for as long as that may be restarted."""
_ALGORITHM: Final = "ES256"
_AUDIENCE: Final = "istio-ca"


def wants_security(home: Home) -> bool:
    """Whether workloads are to have identities: unless the mesh config is against mutual TLS, with Mixer too."""
    return _mesh_config(home).get("enableAutoMtls") is not False or secures_mixer(home)


def _mesh_config(home: Home) -> dict[str, Any]:
    try:
        stated = yaml.safe_load(home.mesh_config.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}  # there is none, or Pilot says what is wrong with it
    return stated if isinstance(stated, dict) else {}


def able(template: PodTemplateSpec) -> PodTemplateSpec:
    """The same template, whose pods say that they can speak mutual TLS unless their author says otherwise."""
    return replace(template, labels=TLS_LABEL | dict(template.labels))


class TokenIssuer:
    """Issues the tokens of service accounts, as Kubernetes would. Its key never leaves the mesh's folder."""

    def __init__(self, home: Home) -> None:
        """Take the key that is there, or make one. Raises OSError, ValueError."""
        self._home = home
        self._mesh = _mesh_config(home)
        self._trust_domain = str(self._mesh.get("trustDomain") or DEFAULT_TRUST_DOMAIN)
        if home.token_key.exists():
            self._key = _read_key(home.token_key)
        else:
            self._key = ECKey.generate_key("P-256", {"kid": "mizzen-local"})
            write_atomic(home.token_key, json.dumps(self._key.as_dict(private=True)), mode=0o600)
        public = json.dumps(KeySet([self._key]).as_dict(private=False))
        if not home.token_keys.exists() or home.token_keys.read_text() != public:
            write_atomic(home.token_keys, public)

    def flags(self, proxy: str, namespace: str, account: str, secure: str = SECURE) -> tuple[str, ...]:
        """A new token for a proxy, and what its agent is to be told; `secure` is where Pilot's authority is."""
        return "--discovery-address", secure, *self._identity(proxy, namespace, account, secure)

    def mixer_flags(self, secure: str = SECURE) -> tuple[str, ...]:
        """The same for Mixer."""
        aliases = self._mesh.get("trustDomainAliases") or ()
        return (
            *("--secure-address", f"{layout.MIXER}:{layout.MIXER_TLS_PORT}"),
            *self._identity(mixer.NAME, mixer.NAMESPACE, mixer.ACCOUNT, secure),
            *("--namespace", mixer.NAMESPACE, "--service-account", mixer.ACCOUNT),
            *("--trust-domain-aliases", ",".join(map(str, aliases))),
        )

    def _identity(self, name: str, namespace: str, account: str, secure: str) -> tuple[str, ...]:
        path = self._home.identity / "tokens" / name
        self.issue(path, namespace, account)
        return (
            *("--ca-address", secure, "--ca-roots", str(self._home.authority / "root-cert.pem")),
            *("--token-file", str(path), "--trust-domain", self._trust_domain),
        )

    @property
    def root_namespace(self) -> str:
        """The control plane's own."""
        return str(self._mesh.get("rootNamespace") or "istio-system")

    def issue(self, path: Path, namespace: str, account: str, mode: int = 0o600) -> None:
        """Write a new token there. Raises OSError."""
        write_atomic(path, self.token(namespace, account, TOKEN_SECONDS), mode=mode)

    def token(self, namespace: str, account: str, seconds: int) -> str:
        """A new token of a service account, good for so long."""
        now = int(time.time())
        claims = {
            "iss": "mizzen-local",
            "sub": f"system:serviceaccount:{namespace}:{account}",
            "aud": [_AUDIENCE],
            "iat": now,
            "exp": now + seconds,
        }
        return jwt.encode({"alg": _ALGORITHM, "kid": self._key.kid}, claims, self._key, algorithms=[_ALGORITHM])


def _read_key(path: Path) -> ECKey:
    try:
        return ECKey.import_key(json.loads(path.read_text()))
    except (JoseError, TypeError) as error:
        raise ValueError(f"it has no key: {error}") from error


def pilot_flags(home: Home, secure: str = SECURE) -> tuple[str, ...]:
    """What makes Pilot the authority."""
    names = ",".join(f"{mixer.ACCOUNT}.{mixer.NAMESPACE}:{host}" for host in mixer.HOSTS)
    return (
        *("--secure-address", secure, "--ca-dir", str(home.authority), "--token-keys", str(home.token_keys)),
        *("--custom-dns-names", names),
    )


def labelled(labels: Mapping[str, str], *, secure: bool) -> dict[str, str]:
    """The labels of one of the mesh's own proxies."""
    return {**labels, **(TLS_LABEL if secure else {})}
