"""The JSON Schema says what the models say, and explains every setting."""

from __future__ import annotations

import pytest

from imgpipe.deploy import schema
from imgpipe.deploy.explained import WORDS


def sections() -> list[tuple[str, dict[str, object]]]:
    document = schema.document()
    found = [("Spec", document["properties"])]
    for name, section in document["$defs"].items():
        if not name.endswith("Override"):
            found.append((name, section["properties"]))
    return found


@pytest.mark.parametrize(("name", "properties"), sections())
def test_every_setting_is_explained_and_no_explanation_is_left_over(
    name: str, properties: dict[str, object]
) -> None:
    inherited = {"uploads", "steps", "notify", "lambda", "table", "alarms"}
    own = set(properties) - (inherited if name == "Environment" else set())
    assert own == set(WORDS[name])


def test_the_keys_of_a_place_are_known_through_lists_of_alternatives() -> None:
    assert "memory" in schema.known_keys(("steps", "any", "lambda"))
    assert "width" in schema.known_keys(("steps", "any", "variants", "any"))
    assert "profile" in schema.known_keys(("environments", "any"))


def test_an_override_needs_nothing_and_may_take_things_away() -> None:
    override = schema.document()["$defs"]["StepOverride"]
    assert "required" not in override
    assert {"type": "null"} in override["properties"]["variants"]["anyOf"]
