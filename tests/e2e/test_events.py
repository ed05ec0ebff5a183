"""`imgpipe events`: a bucket's live rules, who hears of a key, and captured events of every envelope read out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from imgpipe.cloud import Cloud, local_target
from tests.e2e.pipeline import Pipeline
from tests.photos import DEMO

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("studio")]


@pytest.mark.capability("S2-4")
def test_the_live_rules_are_told_with_those_who_hear(studio: Pipeline) -> None:
    shown = studio.run("events", "--bucket", "--json").json
    rules = {
        rule["target"].removeprefix("topic photo-studio-local-"): rule for rule in shown["rules"]
    }
    assert rules["uploaded"]["events"] == ["s3:ObjectCreated:*"]
    assert rules["removed"]["events"] == ["s3:LifecycleExpiration:*", "s3:ObjectRemoved:*"]
    assert {rule["prefix"] for rule in rules.values()} == {"incoming/"}
    assert all(rule["ours"] for rule in rules.values())
    assert set(rules["uploaded"]["subscribers"]) >= {
        "lambda:photo-studio-local-thumbs",
        "sqs:photo-studio-local-enhance",
    }
    text = studio.run("events", "--bucket").out
    assert "when an object is created, in whatever way" in text
    assert "keys that begin with incoming/" in text


@pytest.mark.capability("S2-4")
def test_a_key_is_told_who_hears_of_it(studio: Pipeline) -> None:
    heard = studio.run("events", "photo.jpg", "--json").json
    assert heard["key"] == "incoming/photo.jpg"
    assert len(heard["rules"]) == 2
    assert "name a KEY" in studio.run("events", code=2).err


def test_rules_of_others_are_told_apart_and_a_key_nobody_hears_of_exits_3(
    own_studio: Pipeline,
) -> None:
    cloud = Cloud(local_target(own_studio.folder))
    names = own_studio.run("outputs", "--json").json
    s3, bucket = cloud.client("s3"), names["uploads_bucket"]
    document = s3.get_bucket_notification_configuration(Bucket=bucket)
    document.pop("ResponseMetadata")
    theirs = {**document["TopicConfigurations"][0], "Id": "theirs"}
    theirs["Filter"] = {"Key": {"FilterRules": [{"Name": "prefix", "Value": "other+place/"}]}}
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"TopicConfigurations": [theirs]}
    )
    [rule] = own_studio.run("events", "--bucket", "--json").json["rules"]
    assert (rule["id"], rule["ours"]) == ("theirs", False)
    assert "not this pipeline's" in own_studio.run("events", "--bucket").out
    refused = own_studio.run("events", "photo.jpg", code=3)
    assert "no rule of its bucket is for it" in refused.err
    assert "key    other place/x.jpg" in own_studio.run("events", "other place/x.jpg").out

    [fault] = own_studio.run("status", "--check", "--json", code=3).json["faults"]
    assert "topic photo-studio-local-uploaded" in fault["what"]
    upload = own_studio.run("upload", DEMO / "rocket.jpg", code=3).err
    assert "topic photo-studio-local-uploaded" in upload
    assert "not up" not in upload


@pytest.mark.capability("S2-4")
@pytest.mark.capability("S2-10")
def test_a_message_taken_from_a_queue_is_read_out(studio: Pipeline, tmp_path: Path) -> None:
    """What `aws sqs receive-message` prints, of an upload that really went through S3 and SNS."""
    cloud = Cloud(local_target(studio.folder))
    sqs, sns = cloud.client("sqs"), cloud.client("sns")
    queue = sqs.create_queue(QueueName="listens-in")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    names = studio.run("outputs", "--json").json
    topic = names["uploaded_topic_arn"]
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": arn["QueueArn"],
            }
        ],
    }
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(policy)})
    told = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["QueueArn"])
    try:
        studio.run("upload", DEMO / "rocket.jpg", "--prefix", "listened to", "--wait")
        answer = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=10)
    finally:
        sns.unsubscribe(SubscriptionArn=told["SubscriptionArn"])
        sqs.delete_queue(QueueUrl=queue)
    captured = tmp_path / "captured.json"
    captured.write_text(json.dumps({"Messages": answer["Messages"]}))
    [event] = studio.run("events", "--decode", captured, "--json").json
    [change] = event["changes"]
    assert event["envelopes"] == ["SQS", "SNS", "S3"]
    assert (change["kind"], change["name"]) == ("created", "ObjectCreated:Put")
    assert change["key"] == "incoming/listened to/rocket.jpg"
    assert change["bucket"] == names["uploads_bucket"]
    assert change["sequencer"]
    assert "SQS > SNS > S3" in studio.run("events", "--decode", captured).out
