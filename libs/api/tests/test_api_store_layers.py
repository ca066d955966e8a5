"""Several stores as one."""

from __future__ import annotations

from pathlib import Path

from mizzen.api.store.layers import Layers
from mizzen.api.store.watch import FolderStore

RULE = """
apiVersion: config.istio.io/v1alpha2
kind: rule
metadata: {name: NAME, namespace: default}
spec: {match: 'source.name == "TEXT"', actions: [{handler: h.denier, instances: [i.checknothing]}]}
"""


async def test_the_first_store_wins_and_the_others_add(tmp_path: Path) -> None:
    folders = tmp_path / "first", tmp_path / "second"
    for folder in folders:
        folder.mkdir()
        (folder / "both.yaml").write_text(RULE.replace("NAME", "both").replace("TEXT", folder.name))
    (folders[1] / "more.yaml").write_text(RULE.replace("NAME", "more").replace("TEXT", "more"))
    layers = Layers([FolderStore(folder) for folder in folders])
    await layers.load()
    found = layers.contents
    matches = {key.name: getattr(resource.spec, "match", "") for key, resource in found.resources.items()}
    assert {name: str(match) for name, match in matches.items()} == {
        "both": 'source.name == "first"',
        "more": 'source.name == "more"',
    }
    assert "is defined already" in str(found.problems[0])
