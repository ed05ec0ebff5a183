"""The default pipeline as a Project for tests of `operate`: its real graph, and a cloud that is moto or a fake."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgpipe.deploy import graph, spec
from imgpipe.deploy.resources import Notification, Queue
from imgpipe.operate.project import Project
from imgpipe.runtime.row import INDEX, merge, to_item
from tests.photos import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imgpipe.deploy.graph import Graph

ACCOUNT, REGION = "123456789012", "eu-west-1"
HASHES = {name: f"{name}-code" for name in ("images", "tidy", "writer", "notifier")}


@dataclass
class Clients:
    """Stands in for a Cloud: clients that the test made; the others are boto3's, for moto to answer."""

    made: dict[str, Any] = field(default_factory=dict)
    region: str = REGION
    account: str = ACCOUNT
    trouble: str = ""

    def client(self, service: str) -> Any:
        if service not in self.made:
            import boto3

            keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
            self.made[service] = boto3.client(service, region_name=self.region, **keys)
        return self.made[service]


def studio_graph() -> Graph:
    declared = spec.load(ROOT / "pipeline.yaml", "local")
    return graph.build(declared, "local", account=ACCOUNT, region=REGION, code_hashes=HASHES)


def studio(**clients: Any) -> Project:
    """Return the photo studio, with `clients` in place of boto3's."""
    declared = spec.load(ROOT / "pipeline.yaml", "local")
    return Project(Path(), declared, studio_graph(), Clients(dict(clients)))  # type: ignore[arg-type]


@contextmanager
def in_moto() -> Iterator[Project]:
    """Yield the studio with its buckets, queues and table, in a cloud of moto's."""
    from moto import mock_aws

    with mock_aws():
        made = studio()
        create_buckets(made)
        create_queues(made)
        create_table(made)
        yield made


def create_buckets(project: Project) -> None:
    s3 = project.cloud.client("s3")
    for name in (project.graph.uploads_bucket, project.graph.variants_bucket):
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(
        Bucket=project.graph.uploads_bucket, VersioningConfiguration={"Status": "Enabled"}
    )


def create_notifications(project: Project) -> None:
    """Let the uploads bucket tell what the graph says; its topics must be there."""
    from imgpipe.deploy.providers.s3_notification import merged

    for wanted in project.graph.of(Notification):
        document = merged({}, wanted, project.graph.place.target_arn)
        project.cloud.client("s3").put_bucket_notification_configuration(
            Bucket=wanted.bucket, NotificationConfiguration=document
        )


def create_queues(project: Project) -> None:
    sqs = project.cloud.client("sqs")
    for queue in project.graph.of(Queue):
        sqs.create_queue(QueueName=queue.name)


def create_table(project: Project) -> None:
    project.cloud.client("dynamodb").create_table(
        TableName=project.graph.table,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"}
            for name in ("pk", "sk", "status_shard", "uploaded_at")
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": INDEX,
                "KeySchema": [
                    {"AttributeName": "status_shard", "KeyType": "HASH"},
                    {"AttributeName": "uploaded_at", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )


def result(key: str, **changes: Any) -> dict[str, Any]:
    """Return what a step says: `thumbnail` of `key` is done, unless `changes` say otherwise."""
    said: dict[str, Any] = {
        "v": 1,
        "kind": "step",
        "key": key,
        "version_id": "v1",
        "etag": "e1",
        "sequencer": "01",
        "size": 1000,
        "uploaded_at": "2026-11-21T07:00:00.000Z",
        "step": "thumbnail",
        "function": "thumbs",
        "settings_hash": "s1",
        "step_hash": "t1",
        "code_hash": "c1",
        "expected": ["thumbnail"],
        "status": "done",
        "attempt_id": "a1",
        "max_attempts": 3,
        "at": "2026-11-21T07:00:01.500Z",
        "ms": 41,
        "outputs": {
            "thumb": {
                "key": f"thumb/{key}",
                "width": 200,
                "height": 200,
                "bytes": 9,
                "format": "jpeg",
            }
        },
        "facts": {"width": 640, "height": 480, "format": "jpeg"},
    }
    return {**said, **changes}


def put_row(project: Project, *results: Mapping[str, Any]) -> None:
    """Write the row that `results` make."""
    row = None
    for said in results:
        row, _ = merge(row, said)
    assert row is not None
    project.cloud.client("dynamodb").put_item(TableName=project.graph.table, Item=to_item(row, 1))


def s3_event(key: str, version_id: str = "v1", bucket: str = "uploads") -> dict[str, Any]:
    """Return S3's notification of an upload; `key` is given as people write it."""
    from urllib.parse import quote_plus

    thing = {
        "key": quote_plus(key, safe="/"),
        "versionId": version_id,
        "sequencer": "01",
        "eTag": "e1",
        "size": 1000,
    }
    record = {
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "eventTime": "2026-11-21T07:00:00.000Z",
        "s3": {"bucket": {"name": bucket}, "object": thing},
    }
    return {"Records": [record]}


def sns_envelope(message: Mapping[str, Any], topic: str = "uploaded") -> dict[str, Any]:
    return {
        "Type": "Notification",
        "MessageId": "sns-1",
        "TopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:{topic}",
        "Subject": "Amazon S3 Notification",
        "Message": json.dumps(message),
        "Timestamp": "2026-11-21T07:00:00.500Z",
        "SigningCertURL": "https://sns.example/cert.pem",
        "UnsubscribeURL": "https://sns.example/unsubscribe",
    }
