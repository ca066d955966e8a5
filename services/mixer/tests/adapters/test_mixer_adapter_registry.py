"""Adapters by name, and what all of them share."""

from __future__ import annotations

import pytest

from mizzen.mixer.adapter import AdapterError, Environment
from mizzen.mixer.adapters import registry
from mizzen.mixer.templates import ApiKey

ENVIRONMENT = Environment("h.handler.istio-system", "istio-system", ())


@pytest.mark.parametrize("name", registry.names())
def test_each_name_finds_an_adapter(name):
    adapter = registry.find(name)
    assert adapter is not None
    assert adapter.templates
    assert adapter.name == name or (name, adapter.name) == ("list", "listchecker")


def test_an_unknown_name_finds_nothing():
    assert registry.find("stackdriver") is None


@pytest.mark.parametrize("name", registry.names())
async def test_an_unknown_parameter_is_named(name):
    adapter = registry.find(name)
    with pytest.raises(AdapterError, match="colour: unknown field"):
        await adapter.build({"colour": "blue"}, ENVIRONMENT)


async def test_an_instance_of_another_template_is_an_error(build):
    handler = await build("denier")
    with pytest.raises(AdapterError, match="h1"):
        await handler.report([ApiKey("h1.apikey.default")])
