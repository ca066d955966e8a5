from __future__ import annotations

import re
from pathlib import Path

import pytest
from images.targets import OPTIONAL, TITLES, Origin, origin_of, public_url

DOCKERFILE = (Path(__file__).parents[1] / "Dockerfile").read_text()
STAGES = dict(
    re.split(r"^FROM .* AS (\S+)$", stage, maxsplit=1, flags=re.MULTILINE)[1:]
    for stage in re.split(r"^(?=FROM )", DOCKERFILE, flags=re.MULTILINE)[1:]
)


def test_every_image_is_a_target_of_the_dockerfile() -> None:
    assert set(TITLES) <= set(STAGES)
    assert set(OPTIONAL) <= set(TITLES)


@pytest.mark.parametrize("target", sorted(set(TITLES) - {"gateway", "proxy-envoy"}))
def test_an_image_says_who_it_is_and_how_it_is_asked(target: str) -> None:
    stage = STAGES[target]
    assert re.search(r"^USER \d+:\d+$", stage, re.MULTILINE), "a number, as `runAsNonRoot` of Kubernetes wants it"
    assert "HEALTHCHECK" in stage
    assert re.search(r'^ENTRYPOINT \["', stage, re.MULTILINE)


def test_only_proxy_init_is_root() -> None:
    assert [target for target, stage in STAGES.items() if "USER 0" in stage] == ["proxy-init"]


def test_no_command_goes_through_a_shell_unasked() -> None:
    commands = re.findall(r"^\s*(?:RUN|CMD|ENTRYPOINT) (.)", DOCKERFILE, re.MULTILINE)
    assert commands
    assert set(commands) == {"["}


@pytest.mark.parametrize(
    ("remote", "url"),
    [
        ("https://example.com/mesh/mizzen.git", "https://example.com/mesh/mizzen.git"),
        ("https://user:secret@example.com:8443/mizzen", "https://example.com:8443/mizzen"),
        ("git@example.com:mesh/mizzen.git", ""),
        ("/srv/mizzen", ""),
        ("", ""),
    ],
)
def test_a_label_names_no_secret_and_no_path_of_this_machine(remote: str, url: str) -> None:
    assert public_url(remote) == url


def test_labels_leave_out_what_is_not_known() -> None:
    labels = Origin(version="1.2.3", revision="", source="").labels("pilot")
    assert "org.opencontainers.image.version=1.2.3" in labels
    assert "org.opencontainers.image.licenses=Apache-2.0" in labels
    assert not [label for label in labels if "revision" in label or "source" in label]


def test_the_version_is_the_projects() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", origin_of(Path(__file__).parents[2]).version)
