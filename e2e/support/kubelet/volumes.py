"""Volumes of a Pod, as folders."""

from __future__ import annotations

from pathlib import Path

from support.kubelet.environment import field_of, resource_of
from support.kubelet.objects import Object, Unable
from support.kubelet.sources import Sources

Files = dict[str, bytes]


async def make_volumes(pod: Object, folder: Path, sources: Sources) -> None:
    """One folder each, by the volume's name; raises Unable."""
    for volume in pod["spec"].get("volumes", ()):
        place = folder / volume["name"]
        place.mkdir(parents=True, exist_ok=True)
        if "emptyDir" in volume:
            place.chmod(0o777)
        else:
            _write(place, await _files(pod, volume, sources), volume)


async def _files(pod: Object, volume: Object, sources: Sources) -> Files:
    if given := volume.get("configMap"):
        return _chosen(await sources.config_map(given, given["name"]), given)
    if given := volume.get("secret"):
        return _chosen(await sources.secret(given, given["secretName"]), given)
    if given := volume.get("downwardAPI"):
        return _downward(pod, given)
    if given := volume.get("projected"):
        files: Files = {}
        for source in given["sources"]:
            files |= await _projected(pod, source, sources)
        return files
    kinds = ", ".join(set(volume) - {"name"})
    raise Unable(f"volume {volume['name']}: this node has no volumes of the kind {kinds}")


async def _projected(pod: Object, source: Object, sources: Sources) -> Files:
    if given := source.get("serviceAccountToken"):
        return {given["path"]: await sources.token(given)}
    if given := source.get("configMap"):
        return _chosen(await sources.config_map(given, given["name"]), given)
    if given := source.get("secret"):
        return _chosen(await sources.secret(given, given["name"]), given)
    if given := source.get("downwardAPI"):
        return _downward(pod, given)
    raise Unable(f"a projected volume of {', '.join(source)}")


def _chosen(data: Files, given: Object) -> Files:
    items = given.get("items")
    if items is None:
        return data
    return {item["path"]: data[item["key"]] for item in items if item["key"] in data or not given.get("optional")}


def _downward(pod: Object, given: Object) -> Files:
    files = {}
    for item in given.get("items", ()):
        if "fieldRef" in item:
            text = field_of(pod, item["fieldRef"]["fieldPath"])
        else:
            text = resource_of(pod, {}, item["resourceFieldRef"])
        files[item["path"]] = text.encode()
    return files


def _write(place: Path, files: Files, volume: Object) -> None:
    """Everybody may read: who a container runs as is not known here, and the kubelet's own rule comes to that too."""
    for name, content in files.items():
        file = place / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        file.chmod(0o755 if volume.get("configMap", {}).get("defaultMode", 0) & 0o111 else 0o644)
