"""AWS's rules that no emulator enforces, on every pipeline that comes with imgpipe and on one at the limits."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from imgpipe.deploy import resources as r
from imgpipe.deploy import spec, templates
from imgpipe.deploy.graph import Graph
from tests.unit.deploy.declared import ACCOUNT, SMALLEST, build, declare

HEAVY = (
    SMALLEST
    + "  slow: {via: queue, exif: true, lambda: {timeout: 900s, window: 5s, batch: 100, retries: 9}}\n"
    + "uploads: {suffixes: [jpg, png]}\n"
)
GRAPHS = {
    **{each.name: build(spec.load(each.file, "local"), "prod") for each in templates.every()},
    "heavy": build(declare(HEAVY), "prod"),
}
LOG_RETENTIONS = {
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096),
    *(1827, 2192, 2557, 2922, 3288, 3653),
}
"""CloudWatch Logs keeps a group for one of these numbers of days."""


@pytest.fixture(params=GRAPHS)
def of(request: pytest.FixtureRequest) -> Graph:
    return GRAPHS[request.param]


def queue(of: Graph, name: str) -> r.Queue:
    found = of.resources[r.Key("queue", name)]
    assert isinstance(found, r.Queue)
    return found


def function(of: Graph, name: str) -> r.Function:
    found = of.resources[r.Key("function", name)]
    assert isinstance(found, r.Function)
    return found


def statements(policy: str) -> list[dict[str, Any]]:
    return [one for one in json.loads(policy)["Statement"] if one["Effect"] == "Allow"]


def test_a_queue_hides_messages_for_six_timeouts_and_the_window(of: Graph) -> None:
    for mapping in of.of(r.Mapping):
        timeout = function(of, mapping.function).timeout_s
        hidden = queue(of, mapping.queue).visibility_s
        assert hidden >= 6 * timeout + mapping.window_s
        assert hidden <= 43_200


def test_what_a_queue_feeds_has_its_dead_letters_at_the_queue(of: Graph) -> None:
    """Lambda's own destinations hear of nothing that came from a queue."""
    fed = {mapping.function for mapping in of.of(r.Mapping)}
    assert not fed & {one.function for one in of.of(r.AsyncInvoke)}
    assert all(queue(of, mapping.queue).dlq for mapping in of.of(r.Mapping))


def test_mappings_are_within_lambdas_limits(of: Graph) -> None:
    for mapping in of.of(r.Mapping):
        assert 1 <= mapping.batch <= 10_000
        assert 0 <= mapping.window_s <= 300
        assert mapping.batch <= 10 or mapping.window_s >= 1
        assert mapping.max_concurrency is None or 2 <= mapping.max_concurrency <= 1000


def test_functions_are_within_lambdas_limits(of: Graph) -> None:
    for one in of.of(r.Function):
        assert 128 <= one.memory_mb <= 10_240
        assert 1 <= one.timeout_s <= 900
        assert 512 <= one.tmp_mb <= 10_240
    for one in of.of(r.AsyncInvoke):
        assert 0 <= one.retries <= 2
        assert 60 <= one.max_age_s <= 21_600


def test_dead_letters_outlive_the_work(of: Graph) -> None:
    for one in of.of(r.Queue):
        assert 60 <= one.retention_s <= 1_209_600
        assert 0 <= one.receive_wait_s <= 20
        if one.dlq:
            assert queue(of, one.dlq).retention_s >= one.retention_s


def test_s3_may_invoke_a_function_for_one_bucket_of_one_account(of: Graph) -> None:
    """A bucket's ARN has no account in it: without SourceAccount the next owner of the name could invoke."""
    for one in of.of(r.Permission):
        assert one.source_arn
        if one.principal == "s3.amazonaws.com":
            assert one.source_account == ACCOUNT


def test_whoever_sends_for_a_service_is_allowed_to(of: Graph) -> None:
    """SNS to its subscribers and their dead letters; S3 and EventBridge to their targets."""
    for one in of.of(r.Subscription):
        ends = [one.dlq, one.endpoint if one.protocol == "sqs" else None]
        for name in filter(None, ends):
            sources = [
                source
                for statement in statements(queue(of, name).policy)
                if statement["Principal"] == {"Service": "sns.amazonaws.com"}
                for condition in statement["Condition"].values()
                for source in _listed(condition.get("aws:SourceArn", []))
            ]
            assert of.place.topic_arn(one.topic) in sources
    for rule in (rule for each in of.of(r.Notification) for rule in each.rules):
        if rule.target.kind in {"topic", "queue"}:
            policy = of.resources[rule.target].policy  # type: ignore[union-attr]
            principals = [statement["Principal"] for statement in statements(policy)]
            assert {"Service": "s3.amazonaws.com"} in principals


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def test_filters_are_small_enough_for_sns(of: Graph) -> None:
    """At most five keys, parents counted, and 150 combinations, nested levels counted more than once."""
    for one in of.of(r.Subscription):
        if one.filter_policy:
            keys, combinations = _weight(json.loads(one.filter_policy), 1)
            assert keys <= 5
            assert combinations <= 150


def _weight(policy: dict[str, Any], depth: int) -> tuple[int, int]:
    keys, combinations = 0, 1
    for value in policy.values():
        keys += 1
        if isinstance(value, dict):
            inner, product = _weight(value, depth + 1)
            keys, combinations = keys + inner, combinations * product
        else:
            combinations *= len(value) * depth
    return keys, combinations


def test_no_two_rules_of_a_bucket_are_for_the_same_event(of: Graph) -> None:
    for notification in of.of(r.Notification):
        assert len(notification.rules) <= 100
        for one, two in itertools.combinations(notification.rules, 2):
            same = any(_meet(*pair) for pair in itertools.product(one.events, two.events))
            prefixes = one.prefix.startswith(two.prefix) or two.prefix.startswith(one.prefix)
            suffixes = one.suffix.endswith(two.suffix) or two.suffix.endswith(one.suffix)
            assert not (same and prefixes and suffixes)


def _meet(one: str, two: str) -> bool:
    """Whether some event is of both kinds, such as ObjectCreated:* and ObjectCreated:Put."""
    families = one.rpartition(":")[0], two.rpartition(":")[0]
    return one == two or (families[0] == families[1] and "*" in {one[-1], two[-1]})


def test_alarms_are_within_cloudwatchs_limits(of: Graph) -> None:
    for one in of.of(r.Alarm):
        assert one.dimensions
        assert one.period_s in {10, 20, 30} or one.period_s % 60 == 0
        assert one.period_s * one.evaluation_periods <= (
            604_800 if one.period_s >= 3600 else 86_400
        )
        assert one.datapoints_to_alarm <= one.evaluation_periods
        assert len(one.description) <= 1024


def test_the_dashboard_is_within_cloudwatchs_limits(of: Graph) -> None:
    [page] = of.of(r.Dashboard)
    widgets = json.loads(page.body)["widgets"]
    series = [len(one["properties"].get("metrics", ())) for one in widgets]
    assert len(widgets) <= 500
    assert max(series) <= 500
    assert sum(series) <= 2500


def test_logs_are_kept_for_a_time_that_cloudwatch_has(of: Graph) -> None:
    assert {one.retention_days for one in of.of(r.LogGroup)} <= LOG_RETENTIONS


def test_no_topic_or_queue_is_first_in_first_out(of: Graph) -> None:
    """S3 can't send to them."""
    named = (*of.of(r.Topic), *of.of(r.Queue))
    assert not [one.name for one in named if one.name.endswith(".fifo")]
