"""Runs the code of a branch with nothing but the rights of its role, or with a part of them.

The resources are real ones of the embedded cloud, which asks the policies of whoever calls. A user stands in for the
role, so that the handler can run in this process; what the cloud itself does with a role (polling, logging, telling of
failures) is tried with deployed functions, in `test_roles_in_use`.
"""

from __future__ import annotations

import functools
import io
import json
import random
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import urllib3
from PIL import Image

from imgpipe.deploy import resources as r
from imgpipe.deploy.building import Branch
from imgpipe.deploy.graph import Graph
from imgpipe.runtime import direct, entry, image, notifier, results, steps, tidy, worker, writer
from imgpipe.runtime.settings import SETTINGS_VARIABLE, Settings
from imgpipe.runtime.store import AwsStore, Label
from tests.cloud_fixture import EmbeddedCloud
from tests.fakes import FakeContext, s3_event, s3_record, sns_envelope, sns_event, sqs_event

OF_THE_CLOUD = {"Log", "Failures", "Successes"}
"""Statements that the cloud uses in the function's name, not the function's code."""
POLLED = {"sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"}
SPEAKS = {
    "created": "ObjectCreated:Put",
    "restored": "ObjectRestore:Completed",
    "tagged": "ObjectTagging:Put",
}


class DeniedError(AssertionError):
    """What had to work didn't."""


@dataclass(frozen=True)
class Right:
    """One action on one resource, of one statement: the smallest part of a policy."""

    sid: str
    action: str
    resource: str

    def __str__(self) -> str:
        return f"{self.sid} {self.action} {self.resource.rpartition(':')[2]}"


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def rights(policy: str) -> list[Right]:
    """Return all that a policy allows."""
    return [
        Right(one["Sid"], action, resource)
        for one in json.loads(policy)["Statement"]
        if one["Effect"] == "Allow"
        for action in listed(one["Action"])
        for resource in listed(one["Resource"])
    ]


def without(policy: str, right: Right) -> str:
    """Return the policy with all its rights but one, each in a statement of its own; what it denies stays."""
    denied = [one for one in json.loads(policy)["Statement"] if one["Effect"] == "Deny"]
    kept = [
        {"Effect": "Allow", "Action": one.action, "Resource": one.resource}
        for one in rights(policy)
        if one != right
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": [*denied, *kept]})


def without_denials(policy: str) -> str:
    document = json.loads(policy)
    document["Statement"] = [one for one in document["Statement"] if one["Effect"] == "Allow"]
    return json.dumps(document)


def picture(side: int = 64) -> bytes:
    made = Image.new("RGB", (side, side))
    made.putdata([(random.Random(at).randrange(256), at % 256, 7) for at in range(side * side)])
    buffer = io.BytesIO()
    made.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


SMALL, LARGE = picture(), picture(300)


@dataclass
class Stage:
    """A graph's storage, queues, topics and table on the embedded cloud, and somebody with a role's rights."""

    cloud: EmbeddedCloud
    graph: Graph
    user: str
    keys: dict[str, str]

    @classmethod
    def set_up(cls, cloud: EmbeddedCloud, graph: Graph) -> Stage:
        for resource in graph.resources.values():
            _make(cloud, resource)
        user = f"probe-{uuid.uuid4().hex[:8]}"
        iam = cloud.client("iam")
        iam.create_user(UserName=user)
        made = iam.create_access_key(UserName=user)["AccessKey"]
        own = {
            "aws_access_key_id": made["AccessKeyId"],
            "aws_secret_access_key": made["SecretAccessKey"],
        }
        return cls(cloud, graph, user, own)

    def allow(self, policy: str) -> None:
        """Give the user these rights and no others."""
        self.cloud.client("iam").put_user_policy(
            UserName=self.user, PolicyName="own", PolicyDocument=policy
        )

    def policy(self, branch: Branch) -> str:
        role = self.graph.resources[r.Key("role", branch.role)]
        assert isinstance(role, r.Role)
        return role.policy

    def put(self, key: str, data: bytes, **more: Any) -> str | None:
        answer = self.cloud.client("s3").put_object(
            Bucket=self.graph.uploads_bucket, Key=key, Body=data, **more
        )
        return answer.get("VersionId")

    @functools.cached_property
    def store(self) -> AwsStore:
        return _Store(self)


class _Store(AwsStore):
    """The runtime's own store, with the user's keys. There is no Rekognition here: its right is asked of IAM."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = stage

    def _make(self, service: str, **more: Any) -> Any:
        return self._stage.cloud.client(service, **self._stage.keys, config=_config(**more))

    def labels(self, _picture: bytes) -> list[Label]:
        found = self._stage.cloud.client("iam").simulate_principal_policy(
            PolicySourceArn=f"arn:aws:iam::{self._stage.graph.place.account}:user/{self._stage.user}",
            ActionNames=["rekognition:DetectLabels"],
            ResourceArns=["*"],
        )
        [said] = found["EvaluationResults"]
        if said["EvalDecision"] != "allowed":
            raise DeniedError("rekognition:DetectLabels")
        return [Label("Mountain", 99.0)]


def _config(**more: Any) -> Any:
    from botocore.config import Config

    return Config(
        **{"retries": {"total_max_attempts": 1}, "s3": {"addressing_style": "path"}, **more}
    )


def _make(cloud: EmbeddedCloud, resource: r.Resource) -> None:
    match resource:
        case r.Bucket():
            s3 = cloud.client("s3")
            s3.create_bucket(Bucket=resource.name)
            status = "Enabled" if resource.versioning else "Suspended"
            s3.put_bucket_versioning(
                Bucket=resource.name, VersioningConfiguration={"Status": status}
            )
        case r.ExistingBucket():
            cloud.client("s3").create_bucket(Bucket=resource.name)
        case r.Queue():
            cloud.client("sqs").create_queue(QueueName=resource.name)
        case r.Topic():
            cloud.client("sns").create_topic(Name=resource.name)
        case r.Table():
            _make_table(cloud, resource)
        case _:
            pass


def _make_table(cloud: EmbeddedCloud, table: r.Table) -> None:
    names = [table.hash_key, table.range_key]
    cloud.client("dynamodb").create_table(
        TableName=table.name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[
            {"AttributeName": name, "KeyType": kind}
            for name, kind in zip(names, ("HASH", "RANGE"), strict=True)
        ],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
    )


@dataclass(frozen=True)
class Play:
    """All that the code of one branch can be asked to do. Raises if any of it isn't allowed."""

    stage: Stage
    branch: Branch

    @property
    def settings(self) -> Settings:
        told = Settings.loads(self.branch.environment[SETTINGS_VARIABLE])
        return replace(told, limits=replace(told.limits, isolate=False))

    @property
    def _variant(self) -> str:
        """Some variant's key, where this pipeline keeps them: in a bucket of their own, or beside the uploads."""
        graph = self.stage.graph
        return (
            "thumb/a.jpg"
            if graph.variants_bucket != graph.uploads_bucket
            else "processed/thumb/a.jpg"
        )

    def __call__(self) -> None:
        {
            "writer": self._writer,
            "notifier": self._notifier,
            "direct": self._direct,
            "tidy": self._tidy,
        }.get(self.branch.source, self._images)()
        if self.branch.via == "worker":
            self._take()
        elif self.branch.queue:
            self._give_back()

    def _serve(self, event: dict[str, Any], handler: Any) -> None:
        answer = entry.serve(
            event, FakeContext(), lambda: handler, store=self.stage.store, settings=self.settings
        )
        if answer and answer.get("batchItemFailures"):
            raise DeniedError(f"{self.branch.name}: {answer}")

    def _event(self, document: Mapping[str, Any]) -> dict[str, Any]:
        return sqs_event(sns_envelope(document)) if self.branch.queue else sns_event(document)

    def _change(self, key: str, version: str | None, name: str) -> dict[str, Any]:
        return s3_event(
            s3_record(self.stage.graph.uploads_bucket, key, version_id=version, name=name)
        )

    def _images(self) -> None:
        handler = functools.partial(
            steps.run, make=image.make, store=self.stage.store, settings=self.settings
        )
        for event in self._uploads():
            self._serve(event, handler)

    def _uploads(self) -> Iterator[dict[str, Any]]:
        """Yield a good picture, a file that is none, a picture for the lane, and one that is gone."""
        name = SPEAKS[self.settings.on]
        contents = {"good.jpg": SMALL, "bad.jpg": b"no picture at all"}
        if self.settings.lane.queue_url:
            contents["large.jpg"] = LARGE
        prefix = next(iter(self.settings.matches.values()), {}).get("prefix", self.settings.prefix)
        for short, data in contents.items():
            version = self.stage.put(prefix + short, data)
            yield self._event(self._change(prefix + short, version, name))
        yield self._event(self._change(f"{prefix}gone.jpg", "v0", name))

    def _tidy(self) -> None:
        handler = functools.partial(tidy.run, store=self.stage.store, settings=self.settings)
        self.stage.put("incoming/there.jpg", SMALL)
        for key in ("incoming/there.jpg", "incoming/gone.jpg"):
            removal = self._change(key, "v1", "ObjectRemoved:DeleteMarkerCreated")
            self._serve(self._event(removal), handler)
        order = {"v": 1, "kind": "outputs", "key": "incoming/there.jpg", "version_id": "v0"}
        self._serve(sqs_event({**order, "keys": [self._variant]}), handler)

    def _writer(self) -> None:
        handler = functools.partial(writer.run, store=self.stage.store, settings=self.settings)
        key = f"incoming/{uuid.uuid4().hex}.jpg"
        output = {"key": "thumb/a.jpg", "width": 2, "height": 2, "bytes": 9, "format": "jpeg"}
        done = {
            "v": 1,
            "kind": "step",
            "key": key,
            "version_id": "v1",
            "etag": "e",
            "sequencer": "01",
            "size": 9,
            "uploaded_at": "2026-01-31T12:00:00.000Z",
            "step": self.settings.expected[0],
            "function": "f",
            "settings_hash": "s",
            "step_hash": "t",
            "code_hash": "c",
            "expected": [self.settings.expected[0]],
            "status": "done",
            "attempt_id": "a",
            "max_attempts": 3,
            "at": "2026-01-31T12:00:01.000Z",
            "outputs": {"thumb": output},
        }
        self._serve(sqs_event(done), handler)
        self._serve(
            sqs_event(results.removed(key, "v2", "02", "2026-01-31T12:00:02.000Z")), handler
        )

    def _notifier(self) -> None:
        handler = functools.partial(notifier.run, store=self.stage.store, settings=self.settings)
        name = uuid.uuid4().hex
        for short, meta in ((f"{name}.jpg", self.settings.uploaders[:1]), (f"{name}-gone.jpg", ())):
            key = f"{self.settings.prefix}{short}"
            if meta:
                self.stage.put(key, SMALL, Metadata={"notify": meta[0]})
            if "uploaded" in self.settings.notices or self.settings.uploaders:
                self._serve(self._event(self._change(key, "v1", "ObjectCreated:Put")), handler)
            self._serve(self._event(self._end(key)), handler)
        self._look()

    def _end(self, key: str) -> dict[str, Any]:
        status = "done" if "completed" in self.settings.notices else "failed"
        made = {"key": self._variant, "width": 2, "height": 2, "bytes": 9, "format": "jpeg"}
        return {
            "v": 1,
            "id": key,
            "key": key,
            "status": status,
            "version_id": "v1",
            "sequencer": "01",
            "size": 9,
            "outputs": {"thumb": made},
            "reason": None,
            "facts": {},
        }

    def _look(self) -> None:
        """Follow the link that a notice carries."""
        if not self.settings.link_s or "completed" not in self.settings.notices:
            return
        self.stage.cloud.client("s3").put_object(
            Bucket=self.settings.variants_bucket, Key=self._variant, Body=SMALL
        )
        url = self.stage.store.link(self.settings.variants_bucket, self._variant, 60)
        if urllib3.request("GET", url, retries=False).status != 200:
            raise DeniedError("the link opens nothing")

    def _direct(self) -> None:
        asked = {
            "requestContext": {"http": {"method": "POST"}},
            "body": json.dumps({"name": "a.jpg", "type": "image/jpeg"}),
        }
        answer = direct.run(asked, FakeContext(), store=self.stage.store, settings=self.settings)
        form = json.loads(answer["body"])
        fields = {**form["fields"], "file": ("a.jpg", SMALL)}
        posted = urllib3.request("POST", form["url"], fields=fields, retries=False)
        if posted.status != 201:
            raise DeniedError(f"the form is refused: {posted.status}")

    def _give_back(self) -> None:
        """Have a message fail, which is then hidden for a while."""
        fails = {"batchItemFailures": [{"itemIdentifier": "m1"}]}
        entry.serve(
            sqs_event("{}"),
            FakeContext(),
            lambda: lambda *_: fails,
            store=self.stage.store,
            settings=self.settings,
        )

    def _take(self) -> None:
        """Take messages as a worker does: receive, keep hidden, acknowledge."""
        sqs = self.stage.cloud.client("sqs")
        sqs.send_message(QueueUrl=self.settings.queue_url, MessageBody="{}")
        queue = worker.SqsQueue(self.settings.queue_url, self.stage.store.client("sqs"))
        [record] = queue.receive(1)
        queue.hide([record], 60)
        queue.acknowledge(record)


def of_code(branch: Branch, policy: str) -> list[Right]:
    """Return the rights that the branch's own code uses; the others are for the cloud, in its name."""
    by_cloud = POLLED if branch.via == "queue" else set()
    return [
        right
        for right in rights(policy)
        if right.sid not in OF_THE_CLOUD
        and not (right.sid == "Receive" and right.action in by_cloud)
    ]
