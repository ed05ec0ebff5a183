"""Laws of the graph, for any pipeline that can be declared."""

from __future__ import annotations

import graphlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from imgpipe.deploy import diagram, graph, limits, spec, steps, yaml_source
from imgpipe.deploy import resources as r
from imgpipe.deploy.graph import Graph
from imgpipe.deploy.problems import SpecError
from imgpipe.deploy.spec import Spec
from imgpipe.errors import UsageError
from tests.photos import ROOT

ACCOUNT, REGION = "123456789012", "eu-west-1"
FILE = ROOT / "pipeline.yaml"

names = st.from_regex(r"[a-z](-?[a-z0-9]){0,8}", fullmatch=True).filter(
    lambda name: (
        name not in {"results", "rejected", "writer", "notifier", "notices", "ops"}
        and not name.endswith(("-dlq", "-fifo"))
    )
)
running = st.fixed_dictionaries(
    {},
    optional={
        "memory": st.integers(128, 10_240),
        "timeout": st.integers(1, 900),
        "batch": st.integers(1, 10),
        "window": st.integers(0, 300),
        "concurrency": st.integers(2, 1000),
        "retries": st.integers(1, 20),
    },
)
facts = st.sampled_from([{"exif": True}, {"palette": 3}, {"exif": True, "gps": "keep"}])
sizes = st.fixed_dictionaries(
    {"width": st.integers(1, 5000)}, optional={"height": st.integers(1, 5000)}
)
people = st.fixed_dictionaries(
    {},
    optional={
        kind: st.fixed_dictionaries(
            {},
            optional={"email": st.lists(st.sampled_from(["a@b.photo", "c@d.photo"]), unique=True)},
        )
        for kind in ("uploaded", "completed", "failed")
    },
)


@st.composite
def pipelines(draw: st.DrawFn) -> dict[str, Any]:
    """Pipelines as data; now and then one that `validate` refuses for a limit, which the law skips."""
    made: dict[str, Any] = {}
    for number, name in enumerate(draw(st.lists(names, min_size=1, max_size=5, unique=True))):
        step: dict[str, Any] = {"via": draw(st.sampled_from(["queue", "function"])), **draw(facts)}
        if draw(st.booleans()):
            step["variants"] = {f"v{number}": draw(sizes)}
        step["lambda"] = draw(running)
        made[name] = step
    if draw(st.booleans()):
        made["z-tidy"] = {"on": "removed"}
    return {
        "version": 1,
        "name": draw(names),
        "uploads": {"prefix": draw(st.sampled_from(["", "incoming/", "a/b/"]))},
        "steps": made,
        "notify": draw(people),
        "lambda": draw(running),
    }


def declared(data: dict[str, Any]) -> Spec | None:
    try:
        return spec.parse(yaml_source.parse(yaml.safe_dump(data, sort_keys=False), FILE), "local")
    except SpecError:
        return None


def build(made: Spec) -> Graph:
    hashes = dict.fromkeys(steps.sources(made), "h")
    return graph.build(made, "local", account=ACCOUNT, region=REGION, code_hashes=hashes)


def test_the_laws_are_about_something() -> None:
    """Most of the pipelines that are drawn must be valid, or the laws below would be empty."""
    valid: list[bool] = []

    @settings(database=None, max_examples=60, deadline=None)
    @given(pipelines())
    def drawn(data: dict[str, Any]) -> None:
        valid.append(declared(data) is not None)

    drawn()
    assert sum(valid) > len(valid) / 2


@settings(deadline=None)
@given(pipelines())
def test_what_is_refused_is_refused_with_a_place(data: dict[str, Any]) -> None:
    document = yaml_source.parse(yaml.safe_dump(data, sort_keys=False), FILE)
    for mark, message in spec.problems(document, "local"):
        assert mark.line >= 1
        assert message


@settings(deadline=None)
@given(pipelines())
def test_every_reference_resolves_and_there_is_no_circle(data: dict[str, Any]) -> None:
    made = declared(data)
    if made is None:
        return
    built = build(made)
    assert graph.dangling(built.resources.values()) == []
    order = graphlib.TopologicalSorter({key: each.needs for key, each in built.resources.items()})
    assert set(order.static_order()) == set(built.resources)


@settings(deadline=None)
@given(pipelines())
def test_no_failure_is_without_a_queue_and_no_dead_letter_queue_without_an_alarm(
    data: dict[str, Any],
) -> None:
    made = declared(data)
    if made is None:
        return
    built = build(made)
    ends = {each.dlq for each in (*built.of(r.Queue), *built.of(r.Subscription)) if each.dlq}
    ends |= {each.on_failure for each in built.of(r.AsyncInvoke)}
    fed = {each.queue for each in built.of(r.Mapping)}
    asynchronous = {each.function for each in built.of(r.AsyncInvoke)}
    queues = {each.name: each for each in built.of(r.Queue)}
    assert all(each.dlq for each in built.of(r.Subscription))
    assert all(queues[name].dlq for name in fed)
    assert all(b.queue or b.function in asynchronous for b in built.branches)
    assert {name for name in queues if name not in fed} == ends | {built.rejected_queue}
    watched = {dict(each.dimensions).get("QueueName") for each in built.of(r.Alarm)}
    assert ends <= watched


@settings(deadline=None)
@given(pipelines())
def test_equal_specs_make_equal_graphs_and_pictures(data: dict[str, Any]) -> None:
    one, other = declared(data), declared(json.loads(json.dumps(data)))
    if one is None or other is None:
        return
    assert build(one) == build(other)
    assert diagram.svg(build(one)) == diagram.svg(build(other))


@settings(deadline=None)
@given(pipelines())
def test_what_validate_accepts_is_within_awss_limits(data: dict[str, Any]) -> None:
    made = declared(data)
    if made is None:
        return
    built = build(made)
    assert not list(limits.loops(built))
    assert not list(limits.notification_faults(built))
    for queue in built.of(r.Queue):
        for mapping in built.of(r.Mapping):
            function = built.resources[r.Key("function", mapping.function)]
            if mapping.queue == queue.name and isinstance(function, r.Function):
                assert queue.visibility_s >= 6 * function.timeout_s + mapping.window_s
    for role in built.of(r.Role):
        assert len(role.policy) <= limits.ROLE_POLICY_CHARACTERS
        assert not [
            action
            for statement in json.loads(role.policy)["Statement"]
            for action in statement["Action"]
            if action.endswith("*")
        ]


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def spoilt(draw: st.DrawFn) -> dict[str, Any]:
    """A pipeline with something else in one or two of its places."""
    data = json.loads(json.dumps(draw(pipelines())))
    data["environments"] = {"prod": {"region": "eu-west-1", "lambda": draw(running)}}
    for _ in range(draw(st.integers(1, 2))):
        place, key = data, draw(st.sampled_from(sorted(data)))
        while isinstance(place.get(key), dict) and place[key] and draw(st.booleans()):
            place = place[key]
            key = draw(st.sampled_from(sorted(place)))
        place[key] = draw(junk)
    return data


@settings(deadline=None)
@given(spoilt(), st.sampled_from(["local", "prod"]))
def test_a_spoilt_pipeline_is_refused_in_words_or_valid(data: dict[str, Any], name: str) -> None:
    document = yaml_source.parse(yaml.safe_dump(data, sort_keys=False), FILE)
    try:
        found = spec.problems(document, name)
    except UsageError:
        assert not isinstance(data["environments"], dict) or name not in data["environments"]
        return
    assert all(message and "pydantic" not in message for _, message in found)


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    with pytest.raises(UsageError, match=r"^pipeline\.yaml"):
        spec.parse(yaml_source.parse(text, Path("pipeline.yaml")), "local")
