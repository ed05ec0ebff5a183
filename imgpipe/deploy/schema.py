"""The JSON Schema of pipeline.yaml, for editors; also what the nearest right key is looked up in.

Made from the models, so it can't fall behind them. One thing is added by hand: an environment may
override any section but the pipeline's identity, and there nothing is required, and `null` takes a
thing away.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from imgpipe.deploy.model import OVERRIDABLE, Spec

if TYPE_CHECKING:
    from imgpipe.deploy.problems import YamlPath

Node = dict[str, Any]


@cache
def document() -> Node:
    """Return the schema (draft 2020-12). Don't change what you get: it is shared."""
    made = Spec.model_json_schema(by_alias=True, mode="validation")
    definitions = made.setdefault("$defs", {})
    for name in list(definitions):
        definitions[f"{name}Override"] = _partial(definitions[name])
    environment = definitions["Environment"]["properties"]
    environment |= {section: _renamed(made["properties"][section]) for section in OVERRIDABLE}
    made |= {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "imgpipe's pipeline.yaml",
    }
    return made


def known_keys(path: YamlPath) -> list[str]:
    """Return the keys that may be written in the mapping at `path`; none where any name may be
    chosen.
    """
    node = document()
    for part in path:
        node = _child(node, part)
    return sorted(_resolved(node).get("properties", {}))


def _child(node: Node, part: str | int) -> Node:
    found = _resolved(node)
    if isinstance(part, int):
        child = found.get("items", {})
    else:
        properties = found.get("properties", {})
        child = properties.get(part, found.get("additionalProperties", {}))
    return child if isinstance(child, dict) else {}


def _resolved(node: Node) -> Node:
    """Follow references, and of alternatives take the mapping."""
    if "$ref" in node:
        return _resolved(document()["$defs"][node["$ref"].rpartition("/")[2]])
    for alternative in node.get("anyOf", ()):
        if "$ref" in alternative or alternative.get("type") == "object":
            return _resolved(alternative)
    return node


def _partial(node: Node) -> Node:
    """Return a section as an override of itself: nothing is required, also in its parts."""
    made = {key: value for key, value in node.items() if key not in {"required", "title"}}
    if "properties" in made:
        made["properties"] = {name: _renamed(child) for name, child in made["properties"].items()}
    return made


def _renamed(node: Any) -> Any:
    """Return `node` with references to overrides, without defaults, and with `null` where a name
    may be taken away.
    """
    if isinstance(node, list):
        return [_renamed(item) for item in node]
    if not isinstance(node, dict):
        return node
    made = {
        key: _renamed(value)
        for key, value in node.items()
        if key not in {"default", "minProperties"}
    }
    if "$ref" in made:
        made["$ref"] += "Override"
    if isinstance(made.get("additionalProperties"), dict):
        made["additionalProperties"] = {"anyOf": [made["additionalProperties"], {"type": "null"}]}
    return made
