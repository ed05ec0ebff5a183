"""What S3 announces, to whom, and in which words."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote_plus, unquote_plus

from tests.contract.aws import Aws, Lambda, Queue, Recorder, allow, error_code, unique, until
from tests.contract.web import post_form

CREATED, REMOVED = "s3:ObjectCreated:*", "s3:ObjectRemoved:*"


def announced(aws: Aws, *events: str, **settings: Any) -> tuple[str, Queue]:
    """Make a bucket that tells a queue."""
    bucket, queue = aws.bucket(), aws.queue()
    aws.announce(bucket, queue, *(events or (CREATED,)), **settings)
    return bucket, queue


def refused(aws: Aws, bucket: str, *rules: dict[str, Any]) -> str | None:
    return error_code(
        aws.client("s3").put_bucket_notification_configuration,
        Bucket=bucket,
        NotificationConfiguration={"QueueConfigurations": list(rules)},
    )


def names(records: list[dict[str, Any]]) -> list[str]:
    return [record["eventName"] for record in records]


def test_a_new_configuration_sends_a_test_event(aws: Aws) -> None:
    bucket, queue = announced(aws)
    [message] = aws.receive(queue)
    event = json.loads(message["Body"])
    assert (event["Event"], event["Bucket"]) == ("s3:TestEvent", bucket)


def test_an_upload_is_announced_to_a_queue(aws: Aws) -> None:
    bucket, queue = announced(aws)
    aws.put(bucket, "a.jpg")
    assert len(aws.s3_events(queue)) == 1


def test_a_key_is_encoded_as_in_a_form(aws: Aws) -> None:
    bucket, queue = announced(aws)
    aws.put(bucket, "dir/my photo+1.jpg")
    assert aws.s3_events(queue)[0]["s3"]["object"]["key"] == "dir/my+photo%2B1.jpg"


def test_a_record_has_what_aws_puts_there(aws: Aws) -> None:
    bucket, queue = announced(aws)
    aws.put(bucket, "a.jpg", body=b"0123456789")
    [record] = aws.s3_events(queue)
    assert record["s3"]["configurationId"] == "rule"
    assert record["eventVersion"].startswith("2.")
    assert record["s3"]["object"]["size"] == 10
    assert {"eTag", "sequencer"} <= set(record["s3"]["object"])


def test_the_name_of_an_event_has_no_prefix(aws: Aws) -> None:
    bucket, queue = announced(aws)
    aws.put(bucket, "a.jpg")
    assert names(aws.s3_events(queue)) == ["ObjectCreated:Put"]


def test_a_key_in_any_script_is_percent_encoded(aws: Aws) -> None:
    bucket, queue = announced(aws)
    aws.put(bucket, "ünï/日本 語.jpg")
    expected = quote_plus("ünï/日本 語.jpg", safe="/")
    assert aws.s3_events(queue)[0]["s3"]["object"]["key"] == expected


def test_a_copy_is_announced_as_a_copy(aws: Aws) -> None:
    bucket, queue = announced(aws, "s3:ObjectCreated:Copy")
    aws.put(bucket, "a.jpg")
    aws.client("s3").copy_object(
        Bucket=bucket, Key="b.jpg", CopySource={"Bucket": bucket, "Key": "a.jpg"}
    )
    assert names(aws.s3_events(queue)) == ["ObjectCreated:Copy"]


def test_a_multipart_upload_is_announced_when_it_completes(aws: Aws) -> None:
    s3 = aws.client("s3")
    bucket, queue = announced(aws)
    upload = {"Bucket": bucket, "Key": "big"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    tag = s3.upload_part(**upload, PartNumber=1, Body=b"z" * 100)["ETag"]
    s3.complete_multipart_upload(
        **upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]}
    )
    assert names(aws.s3_events(queue)) == ["ObjectCreated:CompleteMultipartUpload"]


def test_a_form_upload_is_announced_as_a_post(cloud: Aws) -> None:
    bucket, queue = announced(cloud)
    form = cloud.client("s3").generate_presigned_post(bucket, "post.bin")
    post_form(form["url"], form["fields"], b"abc")
    assert names(cloud.s3_events(queue)) == ["ObjectCreated:Post"]


def test_an_upload_invokes_a_function_once(
    cloud: Aws, functions: Lambda, recorder: Recorder
) -> None:
    bucket = cloud.bucket()
    functions.permit(
        recorder.function,
        "s3.amazonaws.com",
        SourceArn=f"arn:aws:s3:::{bucket}",
        SourceAccount=cloud.account,
    )
    rule = {"LambdaFunctionArn": recorder.function.arn, "Events": [CREATED]}
    cloud.client("s3").put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"LambdaFunctionConfigurations": [rule]}
    )
    cloud.put(bucket, "first.jpg", "second.jpg")
    events = until(lambda: len(recorder.events(bucket)) >= 2 and recorder.events(bucket))
    records = [record for each in events or [] for record in each["event"]["Records"]]
    assert sorted(record["s3"]["object"]["key"] for record in records) == [
        "first.jpg",
        "second.jpg",
    ]
    assert {record["eventSource"] for record in records} == {"aws:s3"}


def test_a_filter_takes_only_its_prefix_and_suffix(aws: Aws) -> None:
    rules = [{"Name": "prefix", "Value": "in/"}, {"Name": "suffix", "Value": ".jpg"}]
    bucket, queue = announced(aws, Filter={"Key": {"FilterRules": rules}})
    aws.put(bucket, "in/a.jpg", "in/a.png", "out/a.jpg", "in/sub/b.jpg")
    keys = [unquote_plus(record["s3"]["object"]["key"]) for record in aws.s3_events(queue, 2)]
    assert sorted(keys) == ["in/a.jpg", "in/sub/b.jpg"]


def test_two_rules_for_the_same_event_are_refused(aws: Aws) -> None:
    queue = aws.queue().arn
    first = {"QueueArn": queue, "Events": [CREATED]}
    second = {"QueueArn": queue, "Events": ["s3:ObjectCreated:Put"]}
    assert refused(aws, aws.bucket(), first, second) == "InvalidArgument"


def test_a_target_that_does_not_exist_is_refused(aws: Aws) -> None:
    missing = {"QueueArn": aws.queue().arn + "-not", "Events": [CREATED]}
    assert refused(aws, aws.bucket(), missing) == "InvalidArgument"


def test_a_queue_that_does_not_let_s3_in_is_refused(aws: Aws) -> None:
    url = aws.client("sqs").create_queue(QueueName=unique("closed"))["QueueUrl"]
    arn = f"arn:aws:sqs:us-east-1:{aws.account}:{url.rpartition('/')[2]}"
    assert refused(aws, aws.bucket(), {"QueueArn": arn, "Events": [CREATED]}) == "InvalidArgument"


def test_a_deletion_is_announced(aws: Aws) -> None:
    bucket, queue = announced(aws, REMOVED)
    aws.put(bucket, "a.jpg")
    aws.client("s3").delete_object(Bucket=bucket, Key="a.jpg")
    assert names(aws.s3_events(queue)) == ["ObjectRemoved:Delete"]


def test_each_object_of_a_bulk_deletion_is_announced(aws: Aws) -> None:
    bucket, queue = announced(aws, REMOVED)
    keys = ["a", "b", "c"]
    aws.put(bucket, *keys)
    aws.client("s3").delete_objects(
        Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]}
    )
    records = aws.s3_events(queue, 3)
    assert sorted(record["s3"]["object"]["key"] for record in records) == keys


def test_a_deletion_in_a_versioned_bucket_is_announced_as_a_marker(aws: Aws) -> None:
    bucket, queue = announced(aws, REMOVED)
    aws.client("s3").put_bucket_versioning(
        Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    aws.put(bucket, "a.jpg")
    aws.client("s3").delete_object(Bucket=bucket, Key="a.jpg")
    assert names(aws.s3_events(queue)) == ["ObjectRemoved:DeleteMarkerCreated"]


def bus_rule(aws: Aws, bucket: str) -> tuple[str, str]:
    """Have the bucket tell EventBridge, and a rule there take uploads under in/."""
    aws.client("s3").put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    pattern = {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": [bucket]}, "object": {"key": [{"prefix": "in/"}]}},
    }
    name = unique("rule")
    made = aws.client("events").put_rule(Name=name, EventPattern=json.dumps(pattern))
    return name, made["RuleArn"]


def test_eventbridge_passes_on_what_its_pattern_matches(aws: Aws) -> None:
    bucket, queue = aws.bucket(), aws.queue()
    rule, _ = bus_rule(aws, bucket)
    aws.client("events").put_targets(Rule=rule, Targets=[{"Id": "1", "Arn": queue.arn}])
    aws.put(bucket, "no/a.jpg", "in/a b.jpg")
    [message] = aws.receive(queue)
    assert json.loads(message["Body"])["detail"]["object"]["key"] == "in/a b.jpg"


def test_eventbridge_invokes_a_function(cloud: Aws, functions: Lambda, recorder: Recorder) -> None:
    bucket = cloud.bucket()
    rule, arn = bus_rule(cloud, bucket)
    functions.permit(recorder.function, "events.amazonaws.com", SourceArn=arn)
    cloud.client("events").put_targets(
        Rule=rule, Targets=[{"Id": "1", "Arn": recorder.function.arn}]
    )
    cloud.put(bucket, "in/a.jpg")
    [event] = until(lambda: recorder.events("events/aws.s3"))
    assert event["event"]["detail-type"] == "Object Created"


def test_an_upload_is_announced_to_a_topic(aws: Aws) -> None:
    bucket, topic, queue = aws.bucket(), aws.topic(), aws.queue()
    aws.client("sns").set_topic_attributes(
        TopicArn=topic,
        AttributeName="Policy",
        AttributeValue=allow("sns:Publish", topic, {"Service": "s3.amazonaws.com"}),
    )
    aws.client("sns").subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=queue.arn,
        Attributes={"RawMessageDelivery": "true"},
    )
    aws.client("s3").put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={
            "TopicConfigurations": [{"TopicArn": topic, "Events": [CREATED]}]
        },
    )
    aws.put(bucket, "a.jpg")
    assert names(aws.s3_events(queue)) == ["ObjectCreated:Put"]
