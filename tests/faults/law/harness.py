"""A real pipeline on a real embedded cloud, in a storm: what is uploaded, what is done to it, and what is left.

Every process is one: the server, each function's environment, the worker, each command. What is expected of the
pipeline is made by the image core in this process, which is what a run without faults makes.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from imgpipe.deploy.names import OPERATIONS
from imgpipe.errors import ImgpipeError
from imgpipe.local import lifecycle
from imgpipe.operate.audit import walk
from imgpipe.operate.branches import creators, settings_of
from imgpipe.operate.project import Project, open_project
from imgpipe.runtime import image
from imgpipe.runtime.notices import CLAIM, of_claim_key
from imgpipe.runtime.row import SK_IMAGE, from_item
from tests.e2e.pipeline import Pipeline, without_aws
from tests.faults.law import server
from tests.faults.law.state import Notice, Quiet, State, Uploads, Version

PIPELINE = """\
version: 1
name: storm
uploads: {{prefix: incoming/, deliver: topic}}
steps:
  thumbnail: {{via: function, group: thumbs, variants: {{thumb: {{width: 40, height: 40, fit: cover}}}}}}
  sizes: {{via: queue, group: images, variants: {{medium: {{width: {medium}}}, large: {{width: {large}}}}}}}
  metadata: {{via: queue, group: images, exif: true}}
  tint: {{via: worker, filters: [{{tint: "#c83c32"}}], variants: {{tinted: {{width: 50}}}}}}
  tidy: {{on: removed, via: queue}}
notify:
  uploaded: {{email: [a@example.com]}}
  completed: {{email: [a@example.com]}}
  failed: {{email: [a@example.com]}}
  digest: 1000
lambda: {{timeout: 5s, batch: 5, retries: 4}}
environments:
  local: {{lambda: {{backoff: 1s}}}}
"""
SHAPES = {"plain": (60, 80), "wider": (64, 90)}
HANDLER = '''\
"""The image function as imgpipe ships it, with a clock that can be set wrong."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from imgpipe.runtime import image, log, steps

CLOCK = Path({clock!r})


def now():
    wrong_s = float(CLOCK.read_text()) if CLOCK.exists() else 0.0
    return log.iso(datetime.now(UTC) + timedelta(seconds=wrong_s))


log.now = now


def make(data, wanted, limits):
    return image.make(data, wanted, limits, Path(__file__).parent)


def handler(event, context):
    return dict(steps.run(event, context, make))
'''
START_S, QUIET_S, COMMAND_S = 60.0, 240.0, 240.0
PICTURES, BAD = 5, 2
ROUNDS, TAP_S = 6, 2.5
TAPS = ("uploaded", "removed", "completed", "notices")


def pictures() -> dict[str, bytes]:
    """Return small pictures by name, some of them broken."""
    made = {}
    for number in range(PICTURES):
        picture = Image.new("RGB", (120, 90), (40 * number, 90, 200 - 30 * number))
        ImageDraw.Draw(picture).ellipse((10 * number, 5, 90, 80), fill=(250, 20 * number, 30))
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG" if number % 2 else "PNG")
        made[f"good{number}"] = buffer.getvalue()
    made["bad0"] = b"no picture at all"
    made["bad1"] = made["good1"][:300]
    return made


def etag(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Studio:
    """The pipeline, the processes that serve it, and what was asked of it.

    The project's folder may be a disk of its own, which gets full; what the harness notes lies beside it.
    """

    folder: Path
    shape: str = "plain"
    shapes: set[str] = field(default_factory=lambda: {"plain"})
    worker: subprocess.Popen[bytes] | None = None
    uploads: Uploads = field(default_factory=Uploads)
    taps: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {it: [] for it in TAPS})
    _server: subprocess.Popen[bytes] | None = None
    _project: tuple[str, Project] | None = None

    @property
    def beside(self) -> Path:
        return self.folder.parent

    def say(self, text: str) -> None:
        with (self.beside / "storm.log").open("a") as log:
            log.write(f"{time.strftime('%H:%M:%S')} {text}\n")

    # Processes

    def start(self) -> bool:
        """Start the embedded cloud, on the data that is there; say whether it runs. On a full disk it doesn't."""
        ready, ready_end = os.pipe()
        environment = {**without_aws(os.environ), "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
        environment["PYTHONPATH"] = os.pathsep.join(
            filter(None, (str(Path(__file__).parents[3]), environment["PYTHONPATH"]))
        )
        with (self.beside / "server.log").open("ab") as log:
            self._server = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tests.faults.law.server", str(self.folder)),
                    *("--ready-fd", str(ready_end)),
                ],
                env=environment,
                stdout=log,
                stderr=log,
                pass_fds=[ready_end],
                start_new_session=True,
            )
        os.close(ready_end)
        with os.fdopen(ready, "rb") as answer:
            answer.read()  # the server closes its end when it answers
        self._project = None
        if lifecycle.status(self.folder):
            return True
        self._server.kill()
        self._server.wait()
        self.say("the embedded cloud does not start")
        return False

    @property
    def is_up(self) -> bool:
        return self._server is not None and self._server.poll() is None

    def kill_cloud(self) -> None:
        assert self._server is not None
        self._server.kill()
        self._server.wait()

    def start_worker(self) -> None:
        log = (self.beside / "worker.log").open("ab")
        with log:
            self.worker = subprocess.Popen(
                [*(sys.executable, "-m", "imgpipe", "worker", "tint", "--json", "--hold", "5s")],
                cwd=self.folder,
                env=without_aws(os.environ),
                stdout=log,
                stderr=log,
            )

    def kill_worker(self) -> None:
        if self.worker:
            self.worker.kill()
            self.worker.wait()
            self.worker = None

    def functions(self) -> list[int]:
        """Return the processes of the functions' environments."""
        assert self._server is not None
        found = []
        for pid in _children(self._server.pid):
            with contextlib.suppress(OSError):
                if b"lambda_runtime/start.py" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
        return found

    def stop(self) -> None:
        self.kill_worker()
        if self.is_up and self._server:
            self._server.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._server.wait(20)
            if self._server.poll() is None:
                self._server.kill()
                self._server.wait()

    # The pipeline

    def lay_out(self) -> None:
        """Write the project's files."""
        pipeline = Pipeline.copy_to(self.folder)
        clock = str(self.beside / "clock")
        (pipeline.folder / "lambdas/images/handler.py").write_text(HANDLER.format(clock=clock))
        self.write(self.shape)

    def write(self, shape: str) -> None:
        medium, large = SHAPES[shape]
        new = self.folder / "pipeline.new"
        new.write_text(PIPELINE.format(medium=medium, large=large))
        new.replace(self.folder / "pipeline.yaml")
        self.shape = shape
        self._project = None

    def run(self, *command: str) -> tuple[int, str]:
        """Run `imgpipe COMMAND` and return its exit code and what it said on stdout.

        Not without the embedded cloud: some commands would start one of their own, without the weather.
        """
        if not self.is_up and not self.start():
            return 1, ""
        done = subprocess.run(
            [sys.executable, "-m", "imgpipe", *command],
            cwd=self.folder,
            env={**without_aws(os.environ), "NO_COLOR": "1", "COLUMNS": "100"},
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )
        self.say(f"imgpipe {' '.join(command)}: {done.returncode} {done.stderr[-300:]}")
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout

    @property
    def project(self) -> Project:
        if self._project is None or self._project[0] != self.shape:
            self._project = (self.shape, open_project(self.folder / "pipeline.yaml", "local"))
        return self._project[1]

    def client(self, service: str) -> Any:
        return self.project.cloud.client(service)

    def tap(self) -> None:
        """Listen to every topic, as whoever subscribed would."""
        sqs, sns = self.client("sqs"), self.client("sns")
        for topic in TAPS:
            # Short: what was received in an answer that got lost is soon there again.
            soon = {"VisibilityTimeout": "2"}
            url = sqs.create_queue(QueueName=f"tap-{topic}", Attributes=soon)["QueueUrl"]
            asked = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
            arn = asked["Attributes"]["QueueArn"]
            policy = {
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": arn,
            }
            text = json.dumps({"Version": "2012-10-17", "Statement": [policy]})
            sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": text})
            sns.subscribe(TopicArn=self.topic(topic), Protocol="sqs", Endpoint=arn)

    def topic(self, short: str) -> str:
        graph = self.project.graph
        return graph.place.topic_arn(graph.topics[short])

    def listen(self) -> None:
        """Take what the taps have heard."""
        sqs = self.client("sqs")
        for topic in TAPS:
            url = sqs.get_queue_url(QueueName=f"tap-{topic}")["QueueUrl"]
            while some := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
                self.taps[topic] += [json.loads(each["Body"]) for each in some]
                entries = [
                    {"Id": str(number), "ReceiptHandle": each["ReceiptHandle"]}
                    for number, each in enumerate(some)
                ]
                sqs.delete_message_batch(QueueUrl=url, Entries=entries)

    # What is asked of it

    def upload(self, key: str, data: bytes) -> None:
        """Put an object, once: an answer that is lost leaves open whether it is there."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            bucket = self.project.graph.uploads_bucket
            answer = _once(self.client("s3")).put_object(Bucket=bucket, Key=key, Body=data)
            self.uploads.accepted[key, answer["VersionId"]] = etag(data)
            self.say(f"upload {key} {answer['VersionId']}")
        except (ClientError, BotoCoreError, ImgpipeError, OSError, KeyError) as error:
            self.uploads.unknown.append((key, etag(data)))
            self.say(f"upload {key}: {error}")

    def remove(self, key: str) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        with contextlib.suppress(ClientError, BotoCoreError, ImgpipeError, OSError):
            bucket = self.project.graph.uploads_bucket
            _once(self.client("s3")).delete_object(Bucket=bucket, Key=key)
        self.say(f"remove {key}")

    # The calm

    def calm(self) -> None:
        """What somebody does after a bad day: put it up, wait, redrive, audit, until there is nothing to do."""
        if not self.is_up:
            assert self.start(), (self.beside / "server.log").read_text()[-2000:]
        if self.worker is None or self.worker.poll() is not None:
            self.start_worker()
        assert self.run("up", "--yes")[0] == 0, "up fails in the calm"
        for _ in range(ROUNDS):
            self.wait_until_quiet()
            _, said = self.run("dlq", "redrive", "--yes", "--json")
            moved = sum(each["status"] == "moved" for each in json.loads(said or "[]"))
            self.wait_until_quiet()
            _, said = self.run("audit", "--heal", "--yes", "--grace", "0s", "--json")
            told = json.loads(said)
            self.say(f"moved {moved}, healed {told['summary']}")
            if not moved and not told["summary"]["healed"]:
                return

    def wait_until_quiet(self) -> None:
        """Wait until nothing has waited or run for a moment."""
        end, still = time.monotonic() + QUIET_S, 0
        while still < 3:
            assert time.monotonic() < end, f"it never gets quiet: {self.waiting()}"
            busy = [name for name, count in self.waiting().items() if count]
            still = 0 if busy else still + 1
            time.sleep(0.4)

    def waiting(self) -> dict[str, int]:
        """Return what waits or runs: messages by queue, dead letters and taps apart; invocations."""
        graph, sqs = self.project.graph, self.client("sqs")
        names = ("Messages", "MessagesNotVisible", "MessagesDelayed")
        asked = [f"ApproximateNumberOf{name}" for name in names]
        found = {}
        for branch in graph.branches:
            if branch.queue:
                url = graph.place.queue_url(branch.queue)
                told = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=asked)["Attributes"]
                found[branch.queue] = sum(int(told[name]) for name in asked)
        running = lifecycle.status(self.folder)
        assert running is not None
        found["events"] = int(_read(f"{running.endpoint}{server.PENDING_PATH}"))
        return found

    # What there is

    def seen(self) -> State:
        """Return everything that a client can see."""
        time.sleep(TAP_S)
        self.listen()
        letters = [
            (key, each.version_id, each.kind)
            for key, some in walk._letters(self.project).items()
            for each in some
        ]
        return State(
            versions=list(self._versions()),
            rows=list(self._rows()),
            outputs=dict(self._outputs()),
            letters=letters,
            completed=[json.loads(each["Message"]) for each in self.taps["completed"]],
            notices=list(self._notices()),
            waiting=self.waiting(),
        )

    def _versions(self) -> Iterator[Version]:
        pages = self.client("s3").get_paginator("list_object_versions")
        for page in pages.paginate(Bucket=self.project.graph.uploads_bucket):
            for name, marker in (("Versions", False), ("DeleteMarkers", True)):
                for it in page.get(name, []):
                    yield Version(
                        key=it["Key"],
                        id=it["VersionId"],
                        etag=it.get("ETag", "").strip('"'),
                        latest=it["IsLatest"],
                        marker=marker,
                    )

    def _rows(self) -> Iterator[dict[str, Any]]:
        for item in self._items():
            if item["sk"]["S"] == SK_IMAGE:
                yield from_item(item)

    def _items(self) -> Iterator[dict[str, Any]]:
        pages = self.client("dynamodb").get_paginator("scan")
        for page in pages.paginate(TableName=self.project.graph.table):
            yield from page["Items"]

    def _outputs(self) -> Iterator[tuple[str, str]]:
        s3, bucket = self.client("s3"), self.project.graph.variants_bucket
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for it in page.get("Contents", []):
                if not it["Key"].startswith(f"{OPERATIONS}/"):
                    data = s3.get_object(Bucket=bucket, Key=it["Key"])["Body"].read()
                    yield it["Key"], digest(data)

    def _notices(self) -> Iterator[Notice]:
        """A notice names its image by key. There may be as many of a kind as uploads of that key were claimed for it:
        a claim is of one upload, and lasts.
        """
        keys = {key for key, _ in (*self.uploads.accepted, *self.uploads.unknown)}
        claimed = Counter(self._claims())
        for told in self.taps["notices"]:
            kind = told["MessageAttributes"]["kind"]["Value"]
            for key in keys:
                if key.removeprefix("incoming/") in told["Message"]:
                    most = claimed[kind, key]
                    yield Notice(kind=kind, name=key, message_id=told["MessageId"], most=most)

    def _claims(self) -> Iterator[tuple[str, str]]:
        """Yield the kind and key of every notice that was claimed."""
        for item in self._items():
            if item["sk"]["S"].startswith(CLAIM):
                yield of_claim_key(item["sk"]["S"])[0], item["pk"]["S"]

    def quiet(self) -> dict[str, Quiet]:
        """Return what is to be made of each picture under each of the settings that were in force."""
        made: dict[str, dict[str, dict[str, dict[str, str]]]] = {
            etag(data): {} for data in pictures().values()
        }
        before = self.shape
        for shape in sorted(self.shapes):
            self.write(shape)
            for name, data in pictures().items():
                if name.startswith("good"):
                    made[etag(data)][shape] = self._made(data)
        self.write(before)
        return made

    def _made(self, data: bytes) -> dict[str, dict[str, str]]:
        found = {}
        for branch in creators(self.project.graph):
            settings = settings_of(branch)
            limits = replace(settings.limits, isolate=False)
            for step, done in image.make(data, settings.steps, limits).items():
                found[step] = {name: digest(it.data) for name, it in done.variants.items()}
        return found


def _read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own server
        return str(answer.read().decode())


def _once(client: Any) -> Any:
    """Return a client like this one that asks only once."""
    import boto3
    from botocore.config import Config

    key = client._request_signer._credentials
    return boto3.client(
        client.meta.service_model.service_name,
        endpoint_url=client.meta.endpoint_url,
        region_name=client.meta.region_name,
        aws_access_key_id=key.access_key,
        aws_secret_access_key=key.secret_key,
        config=Config(
            retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, read_timeout=10
        ),
    )


def _children(pid: int) -> list[int]:
    """Return all processes that descend from one."""
    found, todo = [], [pid]
    while todo:
        parent = todo.pop()
        for place in Path(f"/proc/{parent}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                some = list(map(int, place.read_text().split()))
                found += some
                todo += some
    return found


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def weather(studio: Studio, seed: int, rules: list[dict[str, Any]]) -> None:
    """Set what happens to requests from now on."""
    made = studio.beside / "weather.new"
    made.write_text(json.dumps({"seed": seed, "rules": rules}))
    made.replace(studio.beside / server.NAME)
