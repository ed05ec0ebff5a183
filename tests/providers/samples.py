"""One resource of each kind, what it stands on, and what it may be changed to."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from imgpipe.deploy import policies
from imgpipe.deploy import resources as r
from imgpipe.deploy.providers import provider
from imgpipe.deploy.providers.site import Site

PLACE = r.Place("123456789012", "us-east-1")
TRUST = policies.TRUST_LAMBDA
HARMLESS = policies.document(
    [
        {
            "Sid": "Owner",
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
            "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::shop-test-uploads/*",
        }
    ]
)
"""moto ignores conditions, so that a policy which denies plain HTTP would lock everybody out."""

DLQ = r.Queue(
    name="shop-test-work-dlq", policy=policies.queue(PLACE.queue_arn("shop-test-work-dlq"))
)
QUEUE = r.Queue(
    name="shop-test-work",
    policy=policies.document(
        [
            {
                **policies.send(f"{service}Sends", [PLACE.queue_arn("shop-test-work")]),
                "Principal": {"Service": f"{service.lower()}.amazonaws.com"},
                "Condition": {"ArnLike": {"aws:SourceArn": source}},
            }
            for service, source in (
                ("S3", "arn:aws:s3:::shop-test-uploads"),
                ("SNS", PLACE.topic_arn("shop-test-uploaded")),
            )
        ]
    ),
    visibility_s=360,
    dlq=DLQ.name,
)
TOPIC = r.Topic(
    name="shop-test-uploaded",
    policy=policies.topic(
        PLACE.topic_arn("shop-test-uploaded"),
        policies.s3_publishes(
            PLACE.topic_arn("shop-test-uploaded"), "arn:aws:s3:::shop-test-uploads", PLACE
        ),
    ),
)
BUCKET = r.Bucket(name="shop-test-uploads", versioning=True, policy=HARMLESS, noncurrent_days=30)
TABLE = r.Table(
    name="shop-test-images",
    hash_key="pk",
    range_key="sk",
    indexes=(r.Index(name="by-status", hash_key="status_shard", range_key="uploaded_at"),),
)
LOGS = r.LogGroup(name="/aws/lambda/shop-test-work", retention_days=30)
ROLE = r.Role(
    name="shop-test-work-us-east-1",
    trust=TRUST,
    policy=policies.document([policies.consume(PLACE.queue_arn(QUEUE.name))]),
)
FUNCTION = r.Function(
    name="shop-test-work",
    role=ROLE.name,
    source="images",
    handler="handler.handler",
    runtime="python3.13",
    architecture="x86_64",
    memory_mb=1769,
    timeout_s=60,
    tmp_mb=512,
    environment=(("IMGPIPE_SETTINGS", "{}"),),
    code_hash="one",
    log_group=LOGS.name,
)
ASYNC_INVOKE = r.AsyncInvoke(function=FUNCTION.name, on_failure=DLQ.name)
PERMISSION = r.Permission(
    function=FUNCTION.name,
    statement_id="sns-uploaded",
    principal="sns.amazonaws.com",
    source_arn=PLACE.topic_arn(TOPIC.name),
)
FUNCTION_URL = r.FunctionUrl(function=FUNCTION.name, origins=("https://photos.example",))
OPEN = r.Permission(
    function=FUNCTION.name,
    statement_id="open-url",
    principal="*",
    action="lambda:InvokeFunctionUrl",
)
MAPPING = r.Mapping(queue=QUEUE.name, function=FUNCTION.name, max_concurrency=5)
SUBSCRIPTION = r.Subscription(topic=TOPIC.name, protocol="sqs", endpoint=QUEUE.name, dlq=DLQ.name)
NOTIFICATION = r.Notification(
    bucket=BUCKET.name,
    id_prefix="imgpipe-shop-test-",
    rules=(
        r.Rule(
            id="imgpipe-shop-test-uploaded",
            events=("s3:ObjectCreated:*",),
            target=TOPIC.key,
            prefix="incoming/",
        ),
    ),
)
EVENT_RULE = r.EventRule(
    name="shop-test-work",
    pattern=r.canonical({"source": ["aws.s3"], "detail": {"bucket": {"name": [BUCKET.name]}}}),
    target=QUEUE.key,
    dlq=DLQ.name,
)
ALARM = r.Alarm(
    name="shop-test-work-dlq",
    description="Work failed for good",
    namespace="AWS/SQS",
    metric="ApproximateNumberOfMessagesVisible",
    dimensions=(("QueueName", DLQ.name),),
    statistic="Maximum",
    period_s=60,
    evaluation_periods=1,
    datapoints_to_alarm=1,
    threshold=1.0,
    comparison="GreaterThanOrEqualToThreshold",
    action=TOPIC.name,
)
DASHBOARD = r.Dashboard(
    name="shop-test-us-east-1",
    body=r.canonical(
        {
            "widgets": [
                {
                    "type": "text",
                    "x": 0,
                    "y": 0,
                    "width": 24,
                    "height": 2,
                    "properties": {"markdown": "Shop"},
                }
            ]
        }
    ),
)

EVERYTHING: dict[r.Key, r.Resource] = {
    one.key: one
    for one in (
        BUCKET,
        DLQ,
        QUEUE,
        TOPIC,
        TABLE,
        LOGS,
        ROLE,
        FUNCTION,
        ASYNC_INVOKE,
        PERMISSION,
        FUNCTION_URL,
        MAPPING,
        SUBSCRIPTION,
        EVENT_RULE,
        NOTIFICATION,
        ALARM,
        DASHBOARD,
    )
}


@dataclass(frozen=True)
class Sample:
    """`wanted` and, in `changed`, what it may become."""

    wanted: r.Resource
    changed: tuple[r.Resource, ...]


SAMPLES = [
    Sample(
        BUCKET,
        (
            replace(BUCKET, versioning=False, noncurrent_days=None),
            replace(BUCKET, abort_multipart_days=3),
            replace(BUCKET, origins=("https://photos.example.com", "http://localhost:*")),
            replace(BUCKET, policy=HARMLESS.replace("GetObject", "ListBucket")),
        ),
    ),
    Sample(
        TOPIC,
        (
            replace(TOPIC, display_name="Shop"),
            replace(TOPIC, policy=policies.topic(PLACE.topic_arn("shop-test-uploaded"))),
        ),
    ),
    Sample(
        QUEUE,
        (
            replace(QUEUE, visibility_s=30, retention_s=60, receive_wait_s=0),
            replace(QUEUE, dlq=None),
            replace(QUEUE, max_receives=3),
            replace(QUEUE, policy=DLQ.policy),
        ),
    ),
    Sample(
        TABLE,
        (
            replace(TABLE, recovery=False, deletion_protection=False),
            replace(TABLE, indexes=()),
            replace(TABLE, ttl_attribute=""),
        ),
    ),
    Sample(LOGS, (replace(LOGS, retention_days=7),)),
    Sample(
        ROLE,
        (replace(ROLE, policy=policies.document([policies.publish(PLACE.topic_arn(TOPIC.name))])),),
    ),
    Sample(
        FUNCTION,
        (
            replace(FUNCTION, timeout_s=120, memory_mb=3008),
            replace(FUNCTION, tmp_mb=1024),
            replace(FUNCTION, code_hash="two"),
            replace(FUNCTION, environment=(("IMGPIPE_SETTINGS", '{"a":1}'),)),
            replace(FUNCTION, reserved_concurrency=7),
            replace(FUNCTION, architecture="arm64"),
        ),
    ),
    Sample(
        ASYNC_INVOKE,
        (
            replace(ASYNC_INVOKE, retries=1, max_age_s=60),
            replace(ASYNC_INVOKE, on_success=PLACE.queue_arn(QUEUE.name)),
        ),
    ),
    Sample(PERMISSION, (replace(PERMISSION, source_account="123456789012"),)),
    Sample(OPEN, (replace(OPEN, action="lambda:InvokeFunction"),)),
    Sample(
        FUNCTION_URL,
        (
            replace(FUNCTION_URL, auth="NONE"),
            replace(FUNCTION_URL, origins=()),
            replace(FUNCTION_URL, origins=("https://photos.example", "https://other.example")),
        ),
    ),
    Sample(
        MAPPING,
        (
            replace(MAPPING, batch=5),
            replace(MAPPING, max_concurrency=9),
            replace(MAPPING, reports_failures=False),
            replace(MAPPING, filters=('{"body": {"kind": ["urgent"]}}',)),
        ),
    ),
    Sample(
        SUBSCRIPTION,
        (
            replace(SUBSCRIPTION, dlq=QUEUE.name),
            replace(SUBSCRIPTION, filter_policy=r.canonical({"kind": ["failed"]})),
            replace(
                SUBSCRIPTION,
                filter_policy=r.canonical({"Records": {"eventName": [{"prefix": "Object"}]}}),
                filter_scope="body",
            ),
        ),
    ),
    Sample(
        EVENT_RULE,
        (
            replace(EVENT_RULE, pattern=r.canonical({"source": ["aws.s3"]})),
            replace(EVENT_RULE, target=FUNCTION.key),
        ),
    ),
    Sample(
        NOTIFICATION,
        (
            replace(NOTIFICATION, rules=(replace(NOTIFICATION.rules[0], suffix=".jpg"),)),
            replace(NOTIFICATION, rules=(replace(NOTIFICATION.rules[0], target=QUEUE.key),)),
            replace(NOTIFICATION, eventbridge=True),
        ),
    ),
    Sample(DASHBOARD, (replace(DASHBOARD, body=DASHBOARD.body.replace("Shop", "Studio")),)),
    Sample(ALARM, (replace(ALARM, threshold=3.0), replace(ALARM, evaluation_periods=5))),
]


def placed(resource: r.Resource, place: r.Place) -> r.Resource:
    """Return a sample as it is in another account."""
    texts = {
        field.name: getattr(resource, field.name).replace(PLACE.account, place.account)
        for field in fields(resource)
        if isinstance(getattr(resource, field.name), str)
    }
    return replace(resource, **texts)


def put_up(site: Site, wanted: r.Resource) -> None:
    """Create `wanted` after all that it needs."""
    for need in wanted.needs:
        put_up(site, placed(EVERYTHING[need], site.place))
    provider(site, wanted.key.kind).create(wanted)


MOTO_KEEPS = (
    replace(NOTIFICATION, eventbridge=True),
    replace(FUNCTION_URL, origins=()),
    replace(FUNCTION, tmp_mb=1024),
    replace(FUNCTION, architecture="arm64"),
    replace(ASYNC_INVOKE, retries=1, max_age_s=60),
    replace(ASYNC_INVOKE, on_success=PLACE.queue_arn(QUEUE.name)),
)
"""Changes that moto accepts and forgets; the embedded cloud keeps them."""
