"""Policy documents: who may do what to which resource, as canonical JSON text.

Resource policies name the source (`aws:SourceArn`, and `aws:SourceAccount` where the ARN carries no
account), so that nobody else's bucket, topic or alarm can speak for ours. Role policies list exact
actions on exact resources. Setting a topic's policy drops AWS's default statement for the owner;
same-account callers still come in by their own policies, and services by the statements here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imgpipe.deploy.resources import Place, canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from imgpipe.deploy.triggers import Sender

Statement = dict[str, Any]


def document(statements: Iterable[Statement]) -> str:
    return canonical({"Version": "2012-10-17", "Statement": list(statements)})


def allow(sid: str, actions: Sequence[str], resources: Sequence[str], **more: Any) -> Statement:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": one(actions),
        "Resource": one(resources),
        **more,
    }


def listed(value: Any) -> list[Any]:
    """Return a value that AWS writes bare where it is alone, as a list."""
    return list(value) if isinstance(value, list | tuple) else [value]


def one(values: Sequence[str]) -> str | list[str]:
    """Return a single value bare and several sorted, as AWS gives them back."""
    return values[0] if len(values) == 1 else sorted(values)


def _no_plain_http(actions: str, resources: Sequence[str]) -> Statement:
    return {
        "Sid": "DenyPlainHttp",
        "Effect": "Deny",
        "Principal": "*",
        "Action": actions,
        "Resource": one(resources),
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def bucket(arn: str) -> str:
    """Nobody talks to the bucket without TLS."""
    return document([_no_plain_http("s3:*", [arn, f"{arn}/*"])])


def topic(arn: str, *publishers: Statement) -> str:
    return document([_no_plain_http("sns:Publish", [arn]), *publishers])


def s3_publishes(topic_arn: str, bucket_arn: str, place: Place) -> Statement:
    """S3 may publish events of one bucket, while that bucket is ours."""
    return {
        **allow("S3Publishes", ["sns:Publish"], [topic_arn]),
        "Principal": {"Service": "s3.amazonaws.com"},
        "Condition": {
            "ArnLike": {"aws:SourceArn": bucket_arn},
            "StringEquals": {"aws:SourceAccount": place.account},
        },
    }


def alarms_publish(topic_arn: str, alarms_arn: str, place: Place) -> Statement:
    """CloudWatch may publish for the alarms whose ARN is like `alarms_arn`."""
    return {
        **allow("AlarmsPublish", ["sns:Publish"], [topic_arn]),
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Condition": {
            "ArnLike": {"aws:SourceArn": alarms_arn},
            "StringEquals": {"aws:SourceAccount": place.account},
        },
    }


def queue(arn: str, topic_arns: Sequence[str] = (), senders: Sequence[Sender] = ()) -> str:
    """SNS may send to the queue for `topic_arns`, and other services as `senders` say; everybody else needs a policy
    of their own. TLS only.
    """
    statements = [_no_plain_http("sqs:*", [arn])]
    if topic_arns:
        statements.append(
            {
                **allow("TopicSends", ["sqs:SendMessage"], [arn]),
                "Principal": {"Service": "sns.amazonaws.com"},
                "Condition": {"ArnEquals": {"aws:SourceArn": one(topic_arns)}},
            }
        )
    return document([*statements, *(_sends(arn, sender) for sender in senders)])


def _sends(queue_arn: str, sender: Sender) -> Statement:
    """A service may send for one source; where the source's ARN names no account, while that is in ours."""
    account = {"StringEquals": {"aws:SourceAccount": sender.account}} if sender.account else {}
    return {
        **allow(f"{sender.id.capitalize()}Sends", ["sqs:SendMessage"], [queue_arn]),
        "Principal": {"Service": sender.principal},
        "Condition": {"ArnEquals": {"aws:SourceArn": sender.arn}, **account},
    }


WHY = {
    "Log": "writes what it prints to its own log group, which it can't create",
    "Receive": "takes its messages, acknowledges them, and decides when a failed one comes back",
    "Failures": "an invocation that failed for good is kept",
    "Successes": "whoever `on_success` names hears of what worked",
    "ReadUploads": "reads the upload that a message names",
    "MissingReadsAs404": "S3 says that an object is gone only to who may list the bucket; others hear `denied`",
    "UseKey": "S3 opens and encrypts the bucket's objects with its KMS key, for who may use the key by way of S3",
    "WriteVariants": "stores what it made, each variant in its own folder",
    "Label": "has Rekognition name what a picture shows; it knows no resources to choose from",
    "Lane": "hands uploads that are too large for it to those who have more room",
    "Report": "says how each attempt ended, and keeps what can't be processed",
    "DeleteVariants": "deletes what no row names any more, also of steps that are gone",
    "KeepNotes": "never deletes what commands keep there: leases, manifests, receipts",
    "Rows": "reads and writes images' rows",
    "Publish": "tells the topic",
    "Tidy": "hands outputs that no row names to tidy",
    "ReadPictures": "signs the link to a picture in a notice: nobody can sign more than he may do",
    "LeaveNotes": "never reads what commands keep there: leases, manifests, receipts",
    "WriteUploads": "signs the forms that others upload with: nobody can sign more than he may do",
}
"""Why a role has a statement, by its Sid."""

TRUST_LAMBDA = document(
    [
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ]
)


def trust_workers(place: Place) -> str:
    """Workers run on EC2, in ECS tasks of our own, or wherever somebody of our own account may assume the role."""
    owner = f"arn:{place.partition}:iam::{place.account}:root"
    may = {"Effect": "Allow", "Action": "sts:AssumeRole"}
    tasks = {
        "ArnLike": {"aws:SourceArn": place.arn("ecs", "*")},
        "StringEquals": {"aws:SourceAccount": place.account},
    }
    return document(
        [
            {**may, "Principal": {"AWS": owner, "Service": "ec2.amazonaws.com"}},
            {**may, "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Condition": tasks},
        ]
    )


def logs(log_group_arn: str) -> Statement:
    """Write to one's own log group, which exists: a function that could create it would do so after
    `down`.
    """
    return allow("Log", ["logs:CreateLogStream", "logs:PutLogEvents"], [f"{log_group_arn}:*"])


def consume(queue_arn: str, *, by_worker: bool = False) -> Statement:
    """Take messages from the queue, and decide when a failed one comes back. Lambda's poller also asks how long the
    queue is; a worker doesn't.
    """
    actions = ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:ReceiveMessage"]
    asked = [] if by_worker else ["sqs:GetQueueAttributes"]
    return allow("Receive", [*actions, *asked], [queue_arn])


def send(sid: str, queue_arns: Sequence[str]) -> Statement:
    return allow(sid, ["sqs:SendMessage"], queue_arns)


def tell(arn: str) -> Statement:
    """Let Lambda tell `arn` of a success, whatever kind of thing it is."""
    actions = {
        "sqs": "sqs:SendMessage",
        "sns": "sns:Publish",
        "lambda": "lambda:InvokeFunction",
        "events": "events:PutEvents",
    }
    return allow("Successes", [actions[arn.split(":")[2]]], [arn])


def publish(topic_arn: str) -> Statement:
    return allow("Publish", ["sns:Publish"], [topic_arn])


def read_uploads(bucket_arn: str, prefix: str) -> list[Statement]:
    """Read what an upload's key holds now. Without ListBucket a missing object would read as 403 in
    place of 404.
    """
    return [
        allow("ReadUploads", ["s3:GetObject"], [f"{bucket_arn}/{prefix}*"]),
        allow("MissingReadsAs404", ["s3:ListBucket"], [bucket_arn]),
    ]


def use_key(
    kms_key: str, bucket_arn: str, place: Place, statements: Sequence[Statement]
) -> list[Statement]:
    """Let S3 ask KMS in the role's name for what `statements` let it do with the bucket's objects, and for no more."""
    did = {
        action
        for statement in statements
        if any(one.startswith(f"{bucket_arn}/") for one in listed(statement["Resource"]))
        for action in listed(statement["Action"])
        if statement["Effect"] == "Allow"
    }
    wanted = [_ASKED_OF_KMS[action] for action in sorted(did & set(_ASKED_OF_KMS))]
    through = {"StringEquals": {"kms:ViaService": f"s3.{place.region}.amazonaws.com"}}
    return [allow("UseKey", wanted, [kms_key], Condition=through)] if wanted else []


_ASKED_OF_KMS = {"s3:GetObject": "kms:Decrypt", "s3:PutObject": "kms:GenerateDataKey"}
"""What S3 needs to read or to write an object that is encrypted with a KMS key. Writing one in parts needs Decrypt too,
but functions write whole ones.
"""


def name_labels() -> Statement:
    """Have Rekognition name what a picture shows. The action knows no resources but models of one's own."""
    return allow("Label", ["rekognition:DetectLabels"], ["*"])


def read_pictures(bucket_arn: str, prefix: str, kept: str) -> list[Statement]:
    """Read any variant, for a link to it, but nothing in the folder `kept`."""
    return [
        allow("ReadPictures", ["s3:GetObject"], [f"{bucket_arn}/{prefix}*"]),
        {
            "Sid": "LeaveNotes",
            "Effect": "Deny",
            "Action": "s3:GetObject",
            "Resource": f"{bucket_arn}/{kept}/*",
        },
    ]


def write_uploads(bucket_arn: str, prefix: str) -> Statement:
    """Put uploads, and so sign leave to put one: nothing can be signed that the signer may not do."""
    return allow("WriteUploads", ["s3:PutObject"], [f"{bucket_arn}/{prefix}*"])


def write_variants(bucket_arn: str, prefix: str, folders: Sequence[str]) -> Statement:
    places = [f"{bucket_arn}/{prefix}{folder}/*" for folder in folders]
    return allow("WriteVariants", ["s3:PutObject"], places)


def delete_variants(bucket_arn: str, prefix: str, kept: str) -> list[Statement]:
    """Delete any variant, also of a step that is no longer declared, but nothing in the folder
    `kept`.
    """
    return [
        allow("DeleteVariants", ["s3:DeleteObject"], [f"{bucket_arn}/{prefix}*"]),
        {
            "Sid": "KeepNotes",
            "Effect": "Deny",
            "Action": "s3:DeleteObject",
            "Resource": f"{bucket_arn}/{kept}/*",
        },
    ]


def rows(table_arn: str, *actions: str) -> Statement:
    return allow("Rows", [f"dynamodb:{action}" for action in actions], [table_arn])
