"""What a Pod refers to: ConfigMaps, Secrets, tokens."""

from __future__ import annotations

import base64

from mizzen.kubernetes.client import ApiError, Client
from support.kubelet.environment import expand, field_of, resource_of
from support.kubelet.objects import Object, Unable, path_of

TOKEN_SECONDS = 3600


class Sources:
    """Those of one Pod."""

    def __init__(self, client: Client, pod: Object) -> None:
        self._client = client
        self._pod = pod
        self._namespace = f"/api/v1/namespaces/{pod['metadata']['namespace']}"

    async def config_map(self, reference: Object, name: str) -> dict[str, bytes]:
        """Its data; nothing for an optional one that is absent. Raises Unable."""
        found = await self._get(f"configmaps/{name}", reference)
        texts = {key: text.encode() for key, text in (found.get("data") or {}).items()}
        return texts | {key: base64.b64decode(text) for key, text in (found.get("binaryData") or {}).items()}

    async def secret(self, reference: Object, name: str) -> dict[str, bytes]:
        """The same of a Secret."""
        found = await self._get(f"secrets/{name}", reference)
        return {key: base64.b64decode(text) for key, text in (found.get("data") or {}).items()}

    async def token(self, source: Object) -> bytes:
        """One of the Pod's ServiceAccount, bound to the Pod."""
        metadata = self._pod["metadata"]
        bound = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
        spec = {
            "expirationSeconds": source.get("expirationSeconds", TOKEN_SECONDS),
            "boundObjectRef": bound,
            "audiences": [source["audience"]] if source.get("audience") else [],
        }
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        path = f"{self._namespace}/serviceaccounts/{self._pod['spec']['serviceAccountName']}/token"
        return str((await self._client.send("POST", path, request))["status"]["token"]).encode()

    async def variables(self, container: Object, known: dict[str, str]) -> dict[str, str]:
        """The container's, after those that are known already. Raises Unable."""
        for source in container.get("envFrom", ()):
            for kind, read in (("configMapRef", self.config_map), ("secretRef", self.secret)):
                if reference := source.get(kind):
                    data = await read(reference, reference["name"])
                    known |= {source.get("prefix", "") + key: value.decode() for key, value in data.items()}
        for variable in container.get("env", ()):
            if "valueFrom" in variable:
                value = await self._value(container, variable["valueFrom"])
            else:
                value = expand(variable.get("value", ""), known)
            if value is not None:
                known[variable["name"]] = value
        return known

    async def _value(self, container: Object, source: Object) -> str | None:
        if reference := source.get("fieldRef"):
            return field_of(self._pod, reference["fieldPath"])
        if reference := source.get("resourceFieldRef"):
            return resource_of(self._pod, container, reference)
        for kind, read in (("configMapKeyRef", self.config_map), ("secretKeyRef", self.secret)):
            if reference := source.get(kind):
                data = await read(reference, reference["name"])
                if reference["key"] not in data and not reference.get("optional"):
                    raise Unable(f"{kind} {reference['name']}: there is no {reference['key']}")
                return data[reference["key"]].decode() if reference["key"] in data else None
        raise Unable(f"a variable from {', '.join(source)}")

    async def _get(self, what: str, reference: Object) -> Object:
        try:
            return await self._client.get(f"{self._namespace}/{what}")
        except ApiError as error:
            if error.status == 404 and reference.get("optional"):
                return {}
            raise Unable(f"{what} of {path_of(self._pod)}: {error}") from error
