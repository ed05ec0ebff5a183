"""What is ours but no longer declared is found and goes; what is somebody else's is never touched."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from imgpipe.deploy import resources as r
from imgpipe.deploy.apply import apply
from imgpipe.deploy.observe import observe
from imgpipe.deploy.plan import Verb, pending, plan, plan_down
from imgpipe.deploy.providers.site import Site
from tests.providers.samples import (
    BUCKET,
    DLQ,
    EVERYTHING,
    FUNCTION,
    MAPPING,
    PERMISSION,
    PLACE,
    QUEUE,
    ROLE,
    SUBSCRIPTION,
    TABLE,
    TOPIC,
    put_up,
)


def _up(site: Site, declared: dict[r.Key, r.Resource]) -> None:
    for event in apply(site, plan(declared, observe(site, declared).resources)):
        assert event.state != "failed", event.text


def test_everything_is_found_again_without_a_declaration(site: Site) -> None:
    """Only notification entries are not: their bucket is, and they go with it."""
    _up(site, EVERYTHING)
    there = observe(site, {}).resources
    assert there.keys() == {key for key in EVERYTHING if key.kind != "notification"}


def test_a_step_that_is_no_longer_declared_goes_with_all_that_is_its_own(site: Site) -> None:
    _up(site, EVERYTHING)
    left = {key: one for key, one in EVERYTHING.items() if one in (BUCKET, TOPIC, TABLE, DLQ)}
    assert {action.key for action in pending(plan(left, observe(site, left).resources))} == {
        one.key
        for one in EVERYTHING.values()
        if one.key not in left and one.key.kind != "notification"
    }
    _up(site, left)
    assert observe(site, left).resources == left


def test_a_trigger_that_is_no_longer_declared_is_found_by_its_function_and_topic(
    site: Site,
) -> None:
    _up(site, EVERYTHING)
    triggers = {MAPPING.key, PERMISSION.key, SUBSCRIPTION.key}
    left = {key: one for key, one in EVERYTHING.items() if key not in triggers}
    doomed = [
        action for action in plan(left, observe(site, left).resources) if action.verb is Verb.DELETE
    ]
    assert {action.key for action in doomed} == triggers


def test_untagged_things_with_our_kind_of_name_are_left_alone(site: Site) -> None:
    site.client("sqs").create_queue(QueueName="shop-test-theirs")
    site.client("sns").create_topic(Name="shop-test-theirs")
    site.client("logs").create_log_group(logGroupName="/aws/lambda/shop-test-theirs")
    site.client("iam").create_role(
        RoleName="shop-test-theirs-us-east-1", Path="/imgpipe/", AssumeRolePolicyDocument=ROLE.trust
    )
    site.client("cloudwatch").put_metric_alarm(
        AlarmName="shop-test-theirs",
        ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=1,
        Namespace="x",
        MetricName="x",
        Period=60,
        Statistic="Sum",
        Threshold=1,
    )
    assert observe(site, {}).resources == {}


@pytest.mark.capability("S3-5")
def test_another_environment_of_the_same_pipeline_is_left_alone(site: Site) -> None:
    other = replace(site, prefix="shop-prod-", tags={**site.tags, "imgpipe:env": "prod"})
    put_up(other, replace(DLQ, name="shop-prod-work-dlq"))
    assert observe(site, {}).resources == {}


def test_the_role_of_another_region_is_left_alone(site: Site) -> None:
    """Roles are an account's: both Regions see them, and their tags are equal."""
    put_up(site, replace(ROLE, name="shop-test-work-eu-west-1"))
    assert observe(site, {}).resources == {}


def test_somebody_elses_subscription_and_permission_on_ours_stay(site: Site) -> None:
    _up(site, EVERYTHING)
    theirs = site.client("sqs").create_queue(QueueName="theirs")["QueueUrl"]
    arn = site.client("sqs").get_queue_attributes(QueueUrl=theirs, AttributeNames=["QueueArn"])
    site.client("sns").subscribe(
        TopicArn=site.place.topic_arn(TOPIC.name),
        Protocol="sqs",
        Endpoint=arn["Attributes"]["QueueArn"],
    )
    site.client("lambda").add_permission(
        FunctionName=FUNCTION.name,
        StatementId="their-gateway",
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
        SourceArn="arn:aws:execute-api:us-east-1:123456789012:abc/*",
    )
    assert pending(plan(EVERYTHING, observe(site, EVERYTHING).resources)) == []


def test_taking_down_keeps_what_is_foreign_in_the_notification_document(site: Site) -> None:
    _up(site, EVERYTHING)
    s3 = site.client("s3")
    document = s3.get_bucket_notification_configuration(Bucket=BUCKET.name)
    theirs = {
        "Id": "theirs",
        "QueueArn": PLACE.queue_arn("theirs"),
        "Events": ["s3:ObjectRemoved:*"],
    }
    s3.put_bucket_notification_configuration(
        Bucket=BUCKET.name,
        NotificationConfiguration={
            "TopicConfigurations": document["TopicConfigurations"],
            "QueueConfigurations": [theirs],
        },
    )
    kept = {BUCKET.key: "it holds objects", TABLE.key: "it holds the rows"}
    for event in apply(site, plan_down(observe(site, EVERYTHING).resources, kept)):
        assert event.state != "failed", event.text

    there = s3.get_bucket_notification_configuration(Bucket=BUCKET.name)
    assert [entry["Id"] for entry in there["QueueConfigurations"]] == ["theirs"]
    assert "TopicConfigurations" not in there
    assert observe(site, EVERYTHING).resources.keys() == kept.keys()


def test_one_more_run_changes_nothing_and_only_reads(site: Site) -> None:
    _up(site, EVERYTHING)
    made: list[str] = []
    for client in site.clients.made.values():  # type: ignore[attr-defined]
        client.meta.events.register_first("before-call", lambda model, **_: made.append(model.name))
    _up(site, EVERYTHING)
    assert made
    assert [name for name in made if not name.startswith(("Get", "List", "Describe"))] == []


@pytest.mark.capability("S1-7")
def test_an_address_that_has_not_confirmed_counts_as_subscribed(site: Site) -> None:
    """moto confirms at once, so its list is changed here to what AWS shows."""
    address = r.Subscription(
        topic=TOPIC.name,
        protocol="email",
        endpoint="studio@example.com",
        dlq=DLQ.name,
        filter_policy=r.canonical({"kind": ["failed"]}),
    )
    put_up(site, TOPIC)
    put_up(site, DLQ)
    put_up(site, address)
    sns = site.client("sns")
    sns.meta.events.register_last("after-call.sns.ListSubscriptionsByTopic", _as_pending)
    declared = {one.key: one for one in (TOPIC, DLQ, address)}

    assert pending(plan(declared, observe(site, declared).resources)) == []
    without = {one.key: one for one in (TOPIC, DLQ)}
    assert pending(plan(without, observe(site, without).resources)) == []


def _as_pending(parsed: dict[str, list[dict[str, str]]], **_: object) -> None:
    for one in parsed["Subscriptions"]:
        one["SubscriptionArn"] = "PendingConfirmation"


def test_policies_that_mean_the_same_are_not_a_change(site: Site) -> None:
    _up(site, EVERYTHING)
    document = json.loads(QUEUE.policy)
    for statement in document["Statement"]:
        statement["Action"] = [statement["Action"]]
        statement["Condition"] = {
            operator: {key.replace("aws:", "AWS:"): [value] for key, value in tests.items()}
            for operator, tests in statement["Condition"].items()
        }
    document["Statement"].reverse()
    site.client("sqs").set_queue_attributes(
        QueueUrl=site.place.queue_url(QUEUE.name), Attributes={"Policy": json.dumps(document)}
    )
    assert pending(plan(EVERYTHING, observe(site, EVERYTHING).resources)) == []


def test_what_has_the_declared_name_but_not_our_tags_is_foreign(site: Site) -> None:
    site.client("sqs").create_queue(QueueName=QUEUE.name)
    site.client("sns").create_topic(Name=TOPIC.name, Tags=[{"Key": "team", "Value": "other"}])
    put_up(site, TABLE)
    there = observe(site, EVERYTHING)
    assert there.foreign == {QUEUE.key, TOPIC.key}
    assert there.resources == {TABLE.key: TABLE}
