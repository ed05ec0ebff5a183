"""`doctor` on a pipeline that imgpipe didn't make: silent while it is healthy; each fault is built and named."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from imgpipe.deploy.resources import Place
from imgpipe.errors import MissingError, UsageError
from imgpipe.operate.doctor import readers, run
from imgpipe.operate.doctor.asking import Asking
from imgpipe.operate.doctor.findings import Severity
from imgpipe.operate.doctor.registry import CHECKS
from imgpipe.operate.doctor.scene import Bucket, BusRule, Queue, Scene
from tests.providers.conftest import Clients
from tests.providers.faults import (
    CUT,
    dead_letters,
    out_of_memory,
    stuck_mapping,
    stuck_permission,
    stuck_visibility,
    table_throttled,
    timeout,
    trigger_notification,
    trigger_permission,
    trigger_permission_of_a_topic,
    trigger_suffix,
)
from tests.providers.pipeline_of_others import BUCKET, Shop, allow, arn, function_arn, url
from tests.refusing import refuse


@pytest.fixture
def shop(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> Shop:
    # moto runs functions that SNS and SQS call in Docker, whatever it was told: here they only listen.
    monkeypatch.setattr("moto.awslambda.models.LambdaFunction.invoke", lambda *_, **__: b"{}")
    made = Shop(clients)
    made.build()
    return made


def test_a_healthy_pipeline_has_no_findings_and_all_of_it_was_seen(shop: Shop) -> None:
    shop.client("s3").put_object(Bucket=BUCKET, Key="incoming/a b.jpg", Body=b"x")
    for queue in ("shop-thumbs", "shop-results"):  # moto's messages of that upload
        shop.client("sqs").purge_queue(QueueUrl=url(queue))
    found = run.bucket(shop, BUCKET)  # type: ignore[arg-type]
    assert found.findings == ()
    assert found.unread == ()
    assert found.looked_at == {
        "buckets": 1,
        "topics": 2,
        "queues": 4,
        "functions": 3,
        "tables": 1,
        "alarms": 2,
    }
    assert len(found.checks) == len(CHECKS)


def named(shop: Shop) -> dict[str, Any]:
    """Return the gravest finding of each check."""
    found = run.bucket(shop, BUCKET).findings  # type: ignore[arg-type]
    return {one.id: one for one in reversed(found)}


@pytest.mark.parametrize("fault", CUT)
def test_a_bucket_that_tells_nobody_is_named(shop: Shop, fault: Callable[[Shop], None]) -> None:
    fault(shop)
    assert "trigger-notification" in named(shop)


@pytest.mark.capability("S4-14")
def test_a_timeout_is_told_with_the_time_that_it_needs(shop: Shop) -> None:
    timeout(shop)
    found = named(shop)
    assert set(found) == {"timeout"}
    assert found["timeout"].severity is Severity.BROKEN
    assert "Task timed out after 30.03 seconds" in found["timeout"].why
    assert found["timeout"].command.endswith("--function-name thumbs --timeout 60")


@pytest.mark.capability("S4-15")
def test_a_function_out_of_memory_is_told_apart_from_one_that_raises(shop: Shop) -> None:
    out_of_memory(shop)
    found = named(shop)
    assert set(found) == {"out-of-memory"}
    assert "signal: killed" in found["out-of-memory"].why
    assert found["out-of-memory"].command.endswith("--function-name thumbs --memory-size 1024")


@pytest.mark.capability("S4-16")
def test_a_table_that_throttles_is_named_with_what_it_takes(shop: Shop) -> None:
    shop.client("dynamodb").update_table(
        TableName="shop-images",
        BillingMode="PROVISIONED",
        ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
    )
    table_throttled(shop)
    found = named(shop)
    assert set(found) == {"table-throttled"}
    assert "1 writes of 1 kB a second" in found["table-throttled"].why
    assert "--billing-mode PAY_PER_REQUEST" in found["table-throttled"].command


@pytest.mark.capability("S4-17")
@pytest.mark.parametrize(
    ("fault", "check", "words"),
    [
        (stuck_mapping, "stuck-mapping", "disabled"),
        (stuck_permission, "stuck-permission", "lacks sqs:ReceiveMessage"),
        (stuck_visibility, "stuck-visibility", "may take 30 s"),
    ],
)
def test_stuck_messages_have_one_cause_and_no_other(
    shop: Shop, fault: Callable[[Shop], None], check: str, words: str
) -> None:
    fault(shop)
    found = named(shop)
    assert set(found) == {check}
    assert found[check].severity is Severity.BROKEN
    assert words in found[check].why


@pytest.mark.capability("S4-18")
@pytest.mark.capability("S1-16")
@pytest.mark.parametrize(
    ("fault", "check", "words"),
    [
        (trigger_notification, "trigger-notification", "another program replaced it"),
        (trigger_permission, "trigger-permission", "lambda:InvokeFunction"),
        (trigger_permission_of_a_topic, "trigger-permission", "s3.amazonaws.com"),
        (trigger_suffix, "trigger-suffix", "IMG_1.JPG"),
    ],
)
def test_a_trigger_that_does_not_fire_has_one_cause_and_no_other(
    shop: Shop, fault: Callable[[Shop], None], check: str, words: str
) -> None:
    fault(shop)
    found = named(shop)
    assert set(found) == {check}
    assert found[check].severity is Severity.BROKEN
    assert words in found[check].why


def test_what_was_said_before_the_function_was_mended_is_past(shop: Shop) -> None:
    long_ago = datetime.now(UTC) - timedelta(hours=2)
    logs = shop.client("logs")
    logs.create_log_stream(logGroupName="/aws/lambda/thumbs", logStreamName="old")
    event = {
        "timestamp": int(long_ago.timestamp() * 1000),
        "message": "Task timed out after 30.00 seconds",
    }
    logs.put_log_events(logGroupName="/aws/lambda/thumbs", logStreamName="old", logEvents=[event])
    assert named(shop) == {}


def test_a_function_that_a_bucket_calls_itself_is_followed(shop: Shop) -> None:
    shop.client("s3").put_bucket_notification_configuration(
        Bucket=BUCKET,
        NotificationConfiguration={
            "LambdaFunctionConfigurations": [
                {
                    "Id": "direct",
                    "LambdaFunctionArn": function_arn("writer"),
                    "Events": ["s3:ObjectCreated:*"],
                }
            ]
        },
    )
    found = named(shop)
    assert set(found) == {"trigger-permission", "dead-letter-path"}
    assert "--source-account" in found["trigger-permission"].command


def on_the_bus(bus_rule: BusRule, policy: dict[str, Any]) -> Scene:
    """Return a scene in which a bucket speaks to a queue through EventBridge. moto keeps no bucket's wish for that."""
    place = Place("123456789012", "us-east-1")
    queue, dead = arn("sqs", "shop-thumbs"), arn("sqs", "shop-rest-dlq")
    return Scene(
        place=place,
        now=datetime.now(UTC),
        buckets={"b": Bucket(name="b", eventbridge=True, bus=(bus_rule,))},
        queues={
            queue: Queue(arn=queue, attributes={"Policy": json.dumps(policy)}),
            dead: Queue(arn=dead, attributes={"Policy": json.dumps(policy)}),
        },
    )


def test_the_event_bus_is_examined_like_a_notification() -> None:
    heard = BusRule(
        arn=arn("events", "rule/hear"),
        targets=(arn("sqs", "shop-thumbs"),),
        dlqs=(arn("sqs", "shop-rest-dlq"),),
    )
    open_to_rule = {"Statement": [allow("events", "sqs:SendMessage", "*", heard.arn)]}
    checks = run.chosen(["trigger-notification", "trigger-permission"])

    def named_in(scene: Scene) -> list[str]:
        return [one.what for one in run.report(scene, checks).findings]

    assert named_in(on_the_bus(heard, open_to_rule)) == []
    assert named_in(on_the_bus(replace(heard, enabled=False), open_to_rule)) == [
        "rule hear doesn't hear bucket b"
    ]
    assert named_in(on_the_bus(heard, {})) == [
        "rule hear may not reach queue shop-thumbs",
        "rule hear may not reach queue shop-rest-dlq",
    ]


def test_rules_of_the_event_bus_are_found_by_the_bucket_in_their_pattern(shop: Shop) -> None:
    events = shop.client("events")
    meant: dict[str, Any] = {
        "ours": BUCKET,
        "like-ours": {"prefix": BUCKET[:3]},
        "other": "elsewhere",
    }
    for name, bucket in meant.items():
        pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": [bucket]}}}
        events.put_rule(Name=name, EventPattern=json.dumps(pattern))
        target = {
            "Id": "q",
            "Arn": arn("sqs", "shop-thumbs"),
            "DeadLetterConfig": {"Arn": arn("sqs", "shop-rest-dlq")},
        }
        events.put_targets(Rule=name, Targets=[target])
    found = list(readers.bus(Asking(shop), BUCKET))  # type: ignore[arg-type]
    assert {one.name for one in found} == {"ours", "like-ours"}
    assert {one.targets for one in found} == {(arn("sqs", "shop-thumbs"),)}
    assert {one.dlqs for one in found} == {(arn("sqs", "shop-rest-dlq"),)}


def test_looking_changes_nothing(shop: Shop) -> None:
    calls: list[str] = []
    for service in ("s3", "sns", "sqs", "lambda", "iam", "logs", "dynamodb", "cloudwatch"):
        client = shop.client(service)
        client.meta.events.register("before-call", lambda model, **_: calls.append(model.name))
    run.bucket(shop, BUCKET)  # type: ignore[arg-type]
    reads = ("Get", "List", "Describe", "Filter", "Head", "Scan")
    assert calls
    assert [name for name in calls if not name.startswith(reads)] == []


def test_what_may_not_be_read_is_said_and_the_rest_is_examined(shop: Shop) -> None:
    refuse(shop.client("iam"))
    stuck_mapping(shop)
    found = run.bucket(shop, BUCKET)  # type: ignore[arg-type]
    assert {one.id for one in found.findings} == {"stuck-mapping"}
    assert "role shop-thumbs: AccessDenied" in found.unread


@pytest.mark.parametrize(
    ("service", "operation"),
    [
        ("sqs", "GetQueueAttributes"),
        ("lambda", "GetPolicy"),
        ("lambda", "GetFunctionConfiguration"),
        ("lambda", "GetFunctionEventInvokeConfig"),
        ("lambda", "ListEventSourceMappings"),
        ("sns", "GetTopicAttributes"),
        ("sns", "GetSubscriptionAttributes"),
        ("cloudwatch", "DescribeAlarms"),
        ("dynamodb", "DescribeTable"),
        ("logs", "DescribeLogGroups"),
        ("s3", "GetBucketLifecycleConfiguration"),
    ],
)
def test_nothing_is_accused_because_it_may_not_be_read(
    shop: Shop, service: str, operation: str
) -> None:
    refuse(shop.client(service), operation)
    found = run.bucket(shop, BUCKET)  # type: ignore[arg-type]
    assert found.findings == ()
    assert any("AccessDenied" in text for text in found.unread)


def test_a_bucket_that_is_not_there_is_an_error(shop: Shop) -> None:
    with pytest.raises(MissingError, match="no such bucket"):
        run.bucket(shop, "nowhere")  # type: ignore[arg-type]


def test_a_check_that_does_not_exist_is_an_error_that_names_one_that_does(shop: Shop) -> None:
    with pytest.raises(UsageError, match="timeout"):
        run.bucket(shop, BUCKET, ["timeouts"])  # type: ignore[arg-type]


def test_findings_are_json(shop: Shop) -> None:
    dead_letters(shop)
    [found] = json.loads(json.dumps(run.bucket(shop, BUCKET).as_json()))  # type: ignore[arg-type]
    assert set(found) == {"id", "severity", "what", "why", "command", "advice"}
    assert (found["id"], found["severity"]) == ("dead-letters", "broken")
