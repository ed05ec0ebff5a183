"""The JSON Schema of pipeline.yaml, for editors; also what the nearest right key is looked up in.

Made from the models, so it can't fall behind them. One thing is added by hand: an environment may
override any section but the pipeline's identity, and there nothing is required, and `null` takes a
thing away.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from imgpipe.deploy.explained import WORDS
from imgpipe.deploy.model import OVERRIDABLE, Spec

if TYPE_CHECKING:
    from imgpipe.deploy.problems import YamlPath

Node = dict[str, Any]


@cache
def document() -> Node:
    """Return the schema (draft 2020-12). Don't change what you get: it is shared."""
    made: Node = _clean(Spec.model_json_schema(by_alias=True, mode="validation"))
    definitions = made["$defs"]
    for section, words in WORDS.items():
        properties = made["properties"] if section == "Spec" else definitions[section]["properties"]
        for key, sentence in words.items():
            properties[key] = _explained(properties[key], sentence)
    definitions["Step"]["properties"]["lambda"] = {
        "description": WORDS["Step"]["lambda"],
        "anyOf": [{"type": "string"}, {"$ref": "#/$defs/StepLambda"}],
    }
    definitions["Step"]["properties"]["gps"] = {
        "description": WORDS["Step"]["gps"],
        "anyOf": [*definitions["Gps"]["properties"]["row"]["anyOf"], {"$ref": "#/$defs/Gps"}],
        "default": "drop",
    }
    for name in list(definitions):
        definitions[f"{name}Override"] = _partial(definitions[name])
    environment = definitions["Environment"]["properties"]
    environment |= {name: _override(made["properties"][name]) for name in OVERRIDABLE}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "pipeline.yaml of imgpipe",
        **made,
    }


def _explained(node: Node, sentence: str) -> Node:
    """Return `node` with what it is for and, if it says so, its limits."""
    limits = node.get("description")
    return {**node, "description": f"{sentence} Allowed: {limits}." if limits else sentence}


def _clean(node: Any) -> Any:
    """Drop what says nothing: titles made from keys, and defaults of nothing."""
    if isinstance(node, list):
        return [_clean(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {key: _clean(value) for key, value in node.items() if not _says_nothing(key, value)}
    if isinstance(kept.get("description"), str):
        kept["description"] = " ".join(kept["description"].split())
    return kept


def _says_nothing(key: str, value: object) -> bool:
    if key == "title":
        return isinstance(value, str)
    return key == "default" and (value is None or isinstance(value, dict | list))


def known_keys(path: YamlPath) -> list[str]:
    """Return the keys that may be written in the mapping at `path`; none where any name may be
    chosen.
    """
    node = document()
    for part in path:
        node = _child(node, part)
    return sorted(_resolved(node).get("properties", {}))


def _child(node: Node, part: str | int) -> Node:
    """Return what is under a key: of its own, or of any name."""
    found = _resolved(node)
    child: Node = found.get("properties", {}).get(part) or found["additionalProperties"]
    return child


def _resolved(node: Node) -> Node:
    """Follow a reference; of alternatives take the mapping, which is a reference, too."""
    referring = [node, *node.get("anyOf", ())]
    found = next((each["$ref"] for each in referring if "$ref" in each), None)
    if found is None:
        return node
    section: Node = document()["$defs"][found.rpartition("/")[2]]
    return section


def _partial(node: Node) -> Node:
    """Return a section as an override of itself: nothing is required, `null` takes away."""
    made = {key: value for key, value in node.items() if key != "required"}
    if "properties" in made:
        children = made["properties"].items()
        made["properties"] = {name: _or_null(_override(child)) for name, child in children}
    return made


def _override(node: Any) -> Any:
    """Return `node` with references to overrides; a name in a mapping may become `null`."""
    if isinstance(node, list):
        return [_override(item) for item in node]
    if not isinstance(node, dict):
        return node
    left_out = {"default", "minProperties"}
    made = {key: _override(value) for key, value in node.items() if key not in left_out}
    if "$ref" in made:
        made["$ref"] += "Override"
    if isinstance(made.get("additionalProperties"), dict):
        made["additionalProperties"] = _or_null(made["additionalProperties"])
    return made


def _or_null(node: Node) -> Node:
    return {"anyOf": [node, {"type": "null"}]}
