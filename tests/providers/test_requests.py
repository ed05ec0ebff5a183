"""Every request that changes something, in an `up` of each pipeline that comes with imgpipe, against AWS's own models.

The SDK checks types, what is required and least lengths before it sends a request. Its models also hold the greatest
lengths, the allowed words and the patterns, which AWS checks and emulators mostly don't: here they are checked.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from imgpipe.deploy import graph, spec, steps, templates
from imgpipe.deploy.apply import apply
from imgpipe.deploy.plan import plan
from imgpipe.deploy.providers.site import Site
from tests.providers.conftest import ACCOUNT, REGION

LEAD_TO_FUNCTIONS = {"subscription", "mapping"}
NOT_PATTERNS = {"\\S+"}
"""Said of texts that AWS takes with spaces, too."""


def violations(shape: Any, value: Any, where: str) -> Iterator[str]:
    """Yield what of `value` the model of a request would not have."""
    match shape.type_name:
        case "structure":
            for name, inner in value.items():
                yield from violations(shape.members[name], inner, f"{where}.{name}")
        case "list":
            yield from _size(shape, len(value), where)
            yield from itertools.chain(*(violations(shape.member, one, where) for one in value))
        case "map":
            for name, inner in value.items():
                yield from violations(shape.key, name, f"{where} key")
                yield from violations(shape.value, inner, f"{where}[{name}]")
        case _:
            yield from _of_a_scalar(shape, value, where)


def _of_a_scalar(shape: Any, value: Any, where: str) -> Iterator[str]:
    if shape.type_name == "string":
        yield from _size(shape, len(value), where)
        yield from _words(shape, value, where)
    elif shape.type_name in {"integer", "long", "float", "double"}:
        yield from _size(shape, value, where)


def _size(shape: Any, size: float, where: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if (least is not None and size < least) or (most is not None and size > most):
        yield f"{where}: {size} is not within {least} and {most}"


def _words(shape: Any, value: str, where: str) -> Iterator[str]:
    if (allowed := shape.metadata.get("enum")) and value not in allowed:
        yield f"{where}: {value} is none of {allowed}"
    pattern = shape.metadata.get("pattern")
    if pattern and pattern not in NOT_PATTERNS:
        try:
            if not re.fullmatch(_pythonic(pattern), value):
                yield f"{where}: {value[:80]} is not like {pattern}"
        except re.error:
            pass  # a dialect that Python doesn't speak


def _pythonic(pattern: str) -> str:
    """Java's classes, as far as the models use them."""
    for theirs, ours in ((r"\p{L}", "a-zA-Z\u00c0-\uffff"), (r"\p{Z}", " "), (r"\p{N}", "0-9")):
        pattern = pattern.replace(theirs, ours)
    return pattern


@pytest.mark.parametrize("name", [each.name for each in templates.every()])
def test_every_request_of_up_is_one_that_awss_models_allow(site: Site, name: str) -> None:
    declared = spec.load(templates.find(name).file, "local")
    hashes = dict.fromkeys(steps.sources(declared), "0123456789abcdef")
    made = graph.build(declared, "prod", account=ACCOUNT, region=REGION, code_hashes=hashes)
    found: list[str] = []
    calls: list[str] = []

    def check(params: dict[str, Any], model: Any, **_: Any) -> None:
        calls.append(model.name)
        found.extend(
            violations(
                model.input_shape, params, f"{model.service_model.service_name}:{model.name}"
            )
        )

    services = ["s3", "sns", "sqs", "dynamodb", "lambda", "iam", "logs", "cloudwatch", "events"]
    for service in services:
        events = site.client(service).meta.events
        events.register_first("before-parameter-build.*", check)
    mine = replace(site, prefix=f"{declared.name}-prod-", tags=dict(made.tags))
    # moto would run functions in Docker for S3's test event: what leads to them comes after it
    first = {key: one for key, one in made.resources.items() if key.kind not in LEAD_TO_FUNCTIONS}
    for actions in (plan(first, {}), plan(made.resources, first)):
        for event in apply(mine, actions):
            assert event.state != "failed", event.text
    assert len(calls) > len(made.resources)
    assert found == []


def test_a_request_that_the_models_would_not_have_is_found(site: Site) -> None:
    model = site.client("sqs").meta.service_model
    shape = model.operation_model("SetQueueAttributes").input_shape
    assert list(violations(shape, {"QueueUrl": "u", "Attributes": {"Visibility": "1"}}, "q"))
    logs = site.client("logs").meta.service_model
    shape = logs.operation_model("CreateLogGroup").input_shape
    assert list(violations(shape, {"logGroupName": "a b"}, "l"))
    assert list(violations(shape, {"logGroupName": "a" * 600}, "l"))
    assert not list(violations(shape, {"logGroupName": "/aws/lambda/a"}, "l"))
