"""pydantic's findings in the words of somebody who edits pipeline.yaml."""

from __future__ import annotations

from typing import Any

from imgpipe.deploy import schema
from imgpipe.deploy.problems import Finding, YamlPath, did_you_mean, listed
from imgpipe.deploy.units import shown

_EXPECTED = {
    "mapping_type": "settings of its own, as `name: value`",
    "model_type": "settings of its own, as `name: value`",
    "dict_type": "settings of its own, as `name: value`",
    "tuple_type": "a list, such as [a, b]",
    "string_type": "text",
    "int_type": "a whole number",
    "bool_type": "true or false",
}


def finding(error: Any) -> Finding:
    """Translate one entry of a ValidationError."""
    path: YamlPath = tuple(error["loc"])
    if path and path[-1] == "[key]":
        return Finding(path[:-1], _text(error, path[:-1]), at_key=True)
    if error["type"] == "extra_forbidden":
        known = schema.known_keys(path[:-1])
        return Finding(
            path, f"unknown key `{path[-1]}`{did_you_mean(path[-1], known)}", at_key=True
        )
    if error["type"] == "missing":
        return Finding(path, f"`{path[-1]}` is missing", at_key=True)
    return Finding(path, _text(error, path))


def _text(error: Any, path: YamlPath) -> str:
    kind, value, name = error["type"], error["input"], _name(path)
    if kind in _EXPECTED:
        return f"{name} must be {_EXPECTED[kind]}, not {shown(value)}"
    if kind == "value_error":
        return f"{name}: {error['ctx']['error']}"
    if kind == "literal_error":
        known = [
            word.strip("'") for word in error["ctx"]["expected"].replace(" or ", ", ").split(", ")
        ]
        return f"{name} can't be {shown(value)}{did_you_mean(value, known)}"
    if kind == "too_short":
        return f"{name} is empty"
    if kind == "string_pattern_mismatch":
        return f"{name} can't be {shown(value)}"
    return f"{name}: {error['msg']}"


def _name(path: YamlPath) -> str:
    names = [str(part) for part in path if isinstance(part, str)]
    return listed(names[-1:]) if names else "pipeline.yaml"
