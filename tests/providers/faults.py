"""Faults to build into a pipeline of others, each under the id of the check which must name it."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from tests.providers.pipeline_of_others import (
    BUCKET,
    DAY,
    OUTPUTS,
    Shop,
    arn,
    document,
    index,
    url,
)

REPORT = (
    "REPORT RequestId: 00000000-0000-4000-8000-000000000001\tDuration: {ms} ms\t"
    "Billed Duration: 1 ms\tMemory Size: {size} MB\tMax Memory Used: {used} MB"
)
RANDOM_ID = "1b4e28ba-2fa1-4{:03d}-8fd2-b9a5f3c1e0aa"


def trigger_notification(shop: Shop) -> None:
    shop.client("s3").put_bucket_notification_configuration(
        Bucket=BUCKET, NotificationConfiguration={}
    )


def trigger_notification_to_nowhere(shop: Shop) -> None:
    shop.client("sns").delete_topic(TopicArn=arn("sns", "shop-uploaded"))


def trigger_permission(shop: Shop) -> None:
    """The function's policy lost the topic."""
    shop.client("lambda").remove_permission(FunctionName="preview", StatementId="topic")


def trigger_permission_of_a_queue(shop: Shop) -> None:
    shop.client("sqs").set_queue_attributes(
        QueueUrl=url("shop-thumbs"), Attributes={"Policy": document()}
    )


def trigger_permission_of_a_topic(shop: Shop) -> None:
    """SNS's own statement is for the owner: no service comes in by it."""
    owner = {
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": "sns:Publish",
        "Resource": arn("sns", "shop-uploaded"),
        "Condition": {"StringEquals": {"AWS:SourceOwner": shop.account}},
    }
    shop.client("sns").set_topic_attributes(
        TopicArn=arn("sns", "shop-uploaded"),
        AttributeName="Policy",
        AttributeValue=document(owner),
    )


def trigger_suffix(shop: Shop) -> None:
    shop.client("s3").put_object(Bucket=BUCKET, Key="incoming/IMG_1.JPG", Body=b"x")
    shop.notify((".jpg",))


def loop(shop: Shop) -> None:
    anywhere = {"Effect": "Allow", "Action": "s3:*", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
    shop.grant("preview", anywhere)


def stuck_mapping(shop: Shop) -> None:
    shop.client("lambda").update_event_source_mapping(
        UUID=shop.mappings["shop-thumbs"], Enabled=False
    )


def stuck_mapping_that_never_was(shop: Shop) -> None:
    shop.client("sqs").create_queue(QueueName="shop-extra")
    shop.subscribe("sqs", arn("sqs", "shop-extra"))
    shop.client("sqs").send_message(QueueUrl=url("shop-extra"), MessageBody="x")


def stuck_mapping_by_concurrency(shop: Shop) -> None:
    shop.client("lambda").put_function_concurrency(
        FunctionName="writer", ReservedConcurrentExecutions=0
    )


def stuck_permission(shop: Shop) -> None:
    shop.grant("writer")


def stuck_visibility(shop: Shop) -> None:
    shop.client("sqs").set_queue_attributes(
        QueueUrl=url("shop-thumbs"),
        Attributes={"VisibilityTimeout": "20"},
    )
    shop.let_topic_send("shop-thumbs")


def partial_failures(shop: Shop) -> None:
    shop.client("lambda").delete_event_source_mapping(UUID=shop.mappings["shop-results"])
    shop.map("shop-results", "writer", reports=False)


def timeout(shop: Shop) -> None:
    shop.say("thumbs", "2026-11-21T07:00:00.000Z 0000-1 Task timed out after 30.03 seconds")


def out_of_memory(shop: Shop) -> None:
    shop.say(
        "thumbs",
        "RequestId: 0000-1 Error: Runtime exited with error: signal: killed Runtime.ExitError",
    )


def out_of_memory_as_reported(shop: Shop) -> None:
    shop.say("writer", REPORT.format(ms=900, size=512, used=512))


def swallowed_errors(shop: Shop) -> None:
    shop.say("preview", "Traceback (most recent call last):\n  ...\nValueError: no")


def undecoded_keys(shop: Shop) -> None:
    shop.client("s3").put_object(Bucket=BUCKET, Key="incoming/a b.jpg", Body=b"x")
    shop.say("thumbs", "An error occurred (NoSuchKey) when calling GetObject: 'incoming/a+b.jpg'")


def undecoded_keys_in_rows(shop: Shop) -> None:
    shop.client("s3").put_object(Bucket=BUCKET, Key="incoming/ä.jpg", Body=b"x")
    item = {"id": {"S": "1"}, "key": {"S": "incoming/%C3%A4.jpg"}}
    shop.client("dynamodb").put_item(TableName="shop-images", Item=item)


def denied(shop: Shop) -> None:
    shop.say(
        "preview",
        "An error occurred (AccessDenied) when calling the GetObject operation: User: arn:aws:sts::1:x is not "
        'authorized to perform: s3:GetObject on resource: "arn:aws:s3:::elsewhere/a.jpg" because no policy allows it',
    )


def unfit_pictures(shop: Shop) -> None:
    shop.say("preview", "OSError: cannot write mode I;16 as JPEG")


def put_picture(
    shop: Shop, bucket: str, key: str, mode: str, size: tuple[int, int], **save: Any
) -> None:
    from PIL import Image

    made, buffer = Image.new(mode, size), io.BytesIO()
    made.save(buffer, **save)
    shop.client("s3").put_object(Bucket=bucket, Key=key, Body=buffer.getvalue())


def orientation(shop: Shop) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    put_picture(shop, BUCKET, "incoming/tall.jpg", "RGB", (64, 48), format="JPEG", exif=exif)
    put_picture(shop, OUTPUTS, "thumb/tall.jpg", "RGB", (32, 24), format="JPEG")


def cmyk(shop: Shop) -> None:
    put_picture(shop, BUCKET, "incoming/print.jpg", "CMYK", (64, 48), format="JPEG")
    put_picture(shop, OUTPUTS, "thumb/print.jpg", "CMYK", (32, 24), format="JPEG")


def transparency(shop: Shop) -> None:
    put_picture(shop, BUCKET, "incoming/logo.png", "RGBA", (64, 48), format="PNG")
    put_picture(shop, OUTPUTS, "thumb/logo.jpg", "RGB", (64, 48), format="JPEG")


def table_throttled(shop: Shop) -> None:
    shop.say(
        "writer",
        "An error occurred (ProvisionedThroughputExceededException) when calling the PutItem operation",
    )


def duplicate_rows(shop: Shop) -> None:
    for number in range(3):
        item = {
            "id": {"S": RANDOM_ID.format(number)},
            "key": {"S": "incoming/a.jpg"},
            "etag": {"S": "e"},
        }
        shop.client("dynamodb").put_item(TableName="shop-images", Item=item)


def index_range(shop: Shop) -> None:
    shop.client("dynamodb").update_table(
        TableName="shop-images",
        AttributeDefinitions=[{"AttributeName": "size", "AttributeType": "S"}],
        GlobalSecondaryIndexUpdates=[{"Create": index("by-size", "size")}],
    )


def dead_letter_path(shop: Shop) -> None:
    """Of a function that a topic calls."""
    shop.client("lambda").delete_function_event_invoke_config(FunctionName="preview")


def dead_letter_path_of_a_queue(shop: Shop) -> None:
    shop.client("sqs").set_queue_attributes(
        QueueUrl=url("shop-results"), Attributes={"RedrivePolicy": ""}
    )


def dead_letter_path_of_a_subscription(shop: Shop) -> None:
    sns = shop.client("sns")
    topic = arn("sns", "shop-uploaded")
    for one in sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]:
        if one["Protocol"] == "sqs":
            sns.unsubscribe(SubscriptionArn=one["SubscriptionArn"])
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn("sqs", "shop-thumbs"))


def dead_letters(shop: Shop) -> None:
    shop.client("sqs").send_message(QueueUrl=url("shop-dlq"), MessageBody="x")


def expiring_letters(shop: Shop) -> None:
    sqs = shop.client("sqs")
    sqs.send_message(QueueUrl=url("shop-rest-dlq"), MessageBody="x")
    sqs.set_queue_attributes(
        QueueUrl=url("shop-rest-dlq"), Attributes={"MessageRetentionPeriod": str(DAY)}
    )


def dlq_retention(shop: Shop) -> None:
    shop.client("sqs").set_queue_attributes(
        QueueUrl=url("shop-dlq"), Attributes={"MessageRetentionPeriod": str(4 * DAY)}
    )


def raw_mail(shop: Shop) -> None:
    shop.client("sns").subscribe(
        TopicArn=arn("sns", "shop-uploaded"), Protocol="email", Endpoint="a@example.com"
    )


def alarm_actions(shop: Shop) -> None:
    shop.alarm("shop-dlq")


def alarm_actions_that_are_shut_out(shop: Shop) -> None:
    shop.client("sns").set_topic_attributes(
        TopicArn=arn("sns", "shop-alarms"), AttributeName="Policy", AttributeValue=document()
    )


def alarm_nobody(shop: Shop) -> None:
    sns = shop.client("sns")
    sns.create_topic(Name="shop-empty")
    shop.alarm("shop-dlq", AlarmActions=[arn("sns", "shop-empty")])


def dlq_alarm(shop: Shop) -> None:
    shop.client("cloudwatch").delete_alarms(AlarmNames=["shop-dlq-full"])


def dashboard_dimensions(shop: Shop) -> None:
    shop.dashboard(["AWS/SQS", "ApproximateNumberOfMessagesVisible"], [".", "NumberOfMessagesSent"])


def silent_log(shop: Shop) -> None:
    iam = shop.client("iam")
    iam.delete_role_policy(RoleName="shop-preview", PolicyName="own")


def old_runtime(shop: Shop) -> None:
    shop.client("lambda").update_function_configuration(FunctionName="preview", Runtime="python3.9")


def open_policy(shop: Shop) -> None:
    everybody = {"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*"}
    shop.client("sqs").set_queue_attributes(
        QueueUrl=url("shop-dlq"), Attributes={"Policy": document(everybody)}
    )


def wide_rights(shop: Shop) -> None:
    """As a tutorial does it: everything, so that it works."""
    policy = '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}'
    iam = shop.client("iam")
    role = shop.client("lambda").get_function(FunctionName="preview")["Configuration"]["Role"]
    iam.put_role_policy(
        RoleName=role.rpartition("/")[2], PolicyName="all-of-s3", PolicyDocument=policy
    )


def source_account(shop: Shop) -> None:
    shop.client("lambda").add_permission(
        FunctionName="preview",
        StatementId="bucket",
        Action="lambda:InvokeFunction",
        Principal="s3.amazonaws.com",
        SourceArn=f"arn:aws:s3:::{BUCKET}",
    )


def log_retention(shop: Shop) -> None:
    shop.client("logs").delete_retention_policy(logGroupName="/aws/lambda/preview")


def unfinished_uploads(shop: Shop) -> None:
    shop.client("s3").create_multipart_upload(Bucket=BUCKET, Key="incoming/big.jpg")
    shop.clean_up(abort=False, expire=True)


def noncurrent_versions(shop: Shop) -> None:
    for body in (b"1", b"2"):
        shop.client("s3").put_object(Bucket=BUCKET, Key="other/a.jpg", Body=body)
    shop.clean_up(abort=True, expire=False)


def spare_memory(shop: Shop) -> None:
    shop.client("lambda").update_function_configuration(FunctionName="thumbs", MemorySize=6000)
    shop.say("thumbs", *[REPORT.format(ms=900, size=6000, used=300)] * 20)


FAULTS: dict[str, tuple[Callable[[Shop], None], ...]] = {
    "trigger-permission": (
        trigger_permission,
        trigger_permission_of_a_queue,
        trigger_permission_of_a_topic,
    ),
    "trigger-suffix": (trigger_suffix,),
    "loop": (loop,),
    "stuck-mapping": (stuck_mapping, stuck_mapping_that_never_was, stuck_mapping_by_concurrency),
    "stuck-permission": (stuck_permission,),
    "stuck-visibility": (stuck_visibility,),
    "partial-failures": (partial_failures,),
    "timeout": (timeout,),
    "out-of-memory": (out_of_memory, out_of_memory_as_reported),
    "swallowed-errors": (swallowed_errors,),
    "undecoded-keys": (undecoded_keys, undecoded_keys_in_rows),
    "denied": (denied,),
    "unfit-pictures": (unfit_pictures,),
    "orientation": (orientation,),
    "cmyk": (cmyk,),
    "transparency": (transparency,),
    "table-throttled": (table_throttled,),
    "duplicate-rows": (duplicate_rows,),
    "index-range": (index_range,),
    "dead-letter-path": (
        dead_letter_path,
        dead_letter_path_of_a_queue,
        dead_letter_path_of_a_subscription,
    ),
    "dead-letters": (dead_letters,),
    "expiring-letters": (expiring_letters,),
    "dlq-retention": (dlq_retention,),
    "raw-mail": (raw_mail,),
    "alarm-actions": (alarm_actions, alarm_actions_that_are_shut_out),
    "alarm-nobody": (alarm_nobody,),
    "dlq-alarm": (dlq_alarm,),
    "dashboard-dimensions": (dashboard_dimensions,),
    "silent-log": (silent_log,),
    "old-runtime": (old_runtime,),
    "open-policy": (open_policy,),
    "wide-rights": (wide_rights,),
    "source-account": (source_account,),
    "log-retention": (log_retention,),
    "unfinished-uploads": (unfinished_uploads,),
    "noncurrent-versions": (noncurrent_versions,),
    "spare-memory": (spare_memory,),
}
CUT = (trigger_notification, trigger_notification_to_nowhere)
"""After these nothing behind the bucket can be found: each wants a pipeline of its own."""
CASES = [(name, fault) for name, faults in FAULTS.items() for fault in faults]
