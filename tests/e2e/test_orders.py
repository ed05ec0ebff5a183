"""Put, put, delete, put on one key, of the same bytes or others, on the embedded cloud: told in every order, once to
three times, and by events of our own. That all orders end alike is a law in `tests/property/test_orders`.

S3's own events are taken out of the branches' queues before any function reads them, and put back as a seed says.
`make soak` tries many seeds (IMGPIPE_SOAK=1); IMGPIPE_ORDERS=3,17 those alone.
"""

from __future__ import annotations

import json
import os
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest

from imgpipe.cloud import Cloud, local_target
from imgpipe.operate import listing, rows
from imgpipe.operate.audit.law import Upload, sequencer_for
from imgpipe.operate.audit.remedy import notification
from imgpipe.operate.dlq import find
from imgpipe.operate.project import Project, open_project
from imgpipe.operate.why.facts import Version
from tests.e2e.pipeline import Pipeline
from tests.pictures import corners, encoded

SCRIPTS = {
    "others": "ab-c",
    "the same bytes": "aa-a",
    "the same bytes after others": "ab-a",
    "deleted in the end": "a-a-",
}
"""What happens to the key: a picture is put, or `-`: it is deleted."""
BRANCHES = ("enhance", "images", "tidy")
MAKERS = ("enhance", "images")
SEEDS = range(60 if os.environ.get("IMGPIPE_SOAK") else 12)
AGAIN = "IMGPIPE_ORDERS={} python -m pytest -n 0 tests/e2e/test_orders.py"


def _seeds() -> list[int]:
    named = os.environ.get("IMGPIPE_ORDERS")
    return [int(seed) for seed in named.split(",")] if named else list(SEEDS)


@cache
def _picture(name: str) -> bytes:
    return encoded(corners(300 + 20 * ord(name) % 100, 200))


@dataclass
class History:
    """What was done to a key, and S3's events of it by queue."""

    seed: int
    script: str
    versions: list[Version] = field(default_factory=list)
    events: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @property
    def key(self) -> str:
        return f"incoming/orders/{self.seed}.jpg"

    def count(self, queue: str) -> int:
        """Return how many events of S3's a branch hears."""
        removals = self.script.count("-")
        return removals if queue == "tidy" else len(self.script) - removals

    @property
    def last(self) -> str | None:
        """The version that is there in the end; None when it was removed."""
        return None if self.script.endswith("-") else self.versions[-1].id


class Studio:
    """A pipeline whose branches can be held."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.project: Project = open_project(pipeline.folder / "pipeline.yaml", "local")
        self.graph = self.project.graph
        cloud = Cloud(local_target(pipeline.folder))
        self.s3, self.sqs = cloud.client("s3"), cloud.client("sqs")
        self.functions = cloud.client("lambda")

    def url(self, queue: str) -> str:
        return self.graph.place.queue_url(self.graph.queues[queue])

    def hold(self, *, held: bool) -> None:
        """Let the branches' functions take nothing, or go on."""
        wanted, mappings = "Disabled" if held else "Enabled", self._mappings
        for one in mappings():
            self.functions.update_event_source_mapping(UUID=one["UUID"], Enabled=not held)
        self.pipeline.wait_for(
            f"mappings {wanted}", lambda: all(one["State"] == wanted for one in mappings())
        )

    def _mappings(self) -> list[dict[str, Any]]:
        arns = [self.graph.place.queue_arn(self.graph.queues[queue]) for queue in BRANCHES]
        found = self.functions.list_event_source_mappings()["EventSourceMappings"]
        return [one for one in found if one["EventSourceArn"] in arns]

    def live(self, seed: int) -> History:
        """Do to a key of the seed's own what its script says."""
        told = History(seed, list(SCRIPTS.values())[seed % len(SCRIPTS)])
        at = {"Bucket": self.graph.uploads_bucket, "Key": told.key}
        for what in told.script:
            if what == "-":
                self.s3.delete_object(**at)
                continue
            self.s3.put_object(**at, Body=_picture(what))
            there = self.s3.head_object(**at)
            told.versions.append(
                Version(
                    id=there["VersionId"],
                    at=there["LastModified"],
                    size=there["ContentLength"],
                    etag=there["ETag"].strip('"'),
                    latest=True,
                )
            )
        return told

    def take(self, queue: str) -> Iterator[str]:
        """Take what waits in a queue, for good."""
        url = self.url(queue)
        ask = {"QueueUrl": url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 0}
        while found := self.sqs.receive_message(**ask).get("Messages"):
            for message in found:
                yield message["Body"]
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    def ours(self, told: History, version: Version) -> str:
        """Return the event that healing, or doing it again, would send of a version by now."""
        shown = rows.by_keys(self.project, [told.key], consistent=True).get(told.key)
        place = sequencer_for(shown, version)
        return json.dumps(notification(self.graph, Upload(key=told.key, latest=version), place))

    def send(self, messages: list[tuple[str, str]]) -> None:
        for queue, body in messages:
            self.sqs.send_message(QueueUrl=self.url(queue), MessageBody=body)

    def busy(self) -> bool:
        waiting = (*BRANCHES, "results")
        return any(find.held(self.sqs, self.url(queue)) for queue in waiting)

    def wrong(self, told: History) -> str:
        """Return what isn't as it must be in the end; "" when all is."""
        shown = rows.by_keys(self.project, [told.key], consistent=True).get(told.key)
        if shown is None:
            return "no row"
        bucket, stem = self.graph.variants_bucket, f"/orders/{told.seed}."
        made = {key for key in listing.keys(self.project, bucket, "") if stem in key}
        named = {output["key"] for output in shown["outputs"].values()}
        wanted = ("removed", None) if told.last is None else ("done", told.last)
        found = (shown["status"], None if told.last is None else shown["version_id"])
        if found != wanted or bool(named) != bool(told.last):
            return f"{found} with {len(named)} outputs in place of {wanted}"
        return "" if made == named else f"left over {made - named}, lacking {named - made}"


def _shuffled(
    studio: Studio, histories: list[History], chance: random.Random
) -> list[tuple[str, str]]:
    """Return every event of every key, once to three times, and as many of our own, in any order."""
    messages = []
    for told in histories:
        events = [(queue, body) for queue, bodies in told.events.items() for body in bodies]
        messages += [event for event in events for _ in range(chance.randint(1, 3))]
        for version in chance.choices(told.versions, k=3):
            messages.append((chance.choice(MAKERS), studio.ours(told, version)))
    chance.shuffle(messages)
    return messages


@pytest.mark.slow
@pytest.mark.fault("F-19", "F-21", "F-47")
def test_put_put_delete_put_ends_in_one_row_and_its_outputs(own_studio: Pipeline) -> None:
    studio, seeds = Studio(own_studio), _seeds()
    studio.hold(held=True)
    histories = [studio.live(seed) for seed in seeds]
    for queue in BRANCHES:
        _collect(studio, histories, queue)

    chance = random.Random(repr(seeds))
    studio.send(_shuffled(studio, histories, chance))
    studio.hold(held=False)
    _settle(studio, histories)
    studio.send(
        _shuffled(studio, histories, chance)
    )  # late copies, and ours, which know the rows now
    _settle(studio, histories)
    assert not own_studio.run("dlq", "list", "--json").json


def _collect(studio: Studio, histories: list[History], queue: str) -> None:
    """Take S3's events out of a queue."""
    by_name = {told.key.rpartition("/")[2]: told for told in histories}
    kind = "ObjectRemoved" if queue == "tidy" else "ObjectCreated"
    others = []

    def complete() -> bool:
        for body in studio.take(queue):
            if kind in body:
                found = next(told for name, told in by_name.items() if f"/{name}" in body)
                found.events[queue].append(body)
            else:
                others.append((queue, body))
        return all(len(told.events[queue]) == told.count(queue) for told in histories)

    studio.pipeline.wait_for(f"S3's events in {queue}", complete)
    studio.send(others)


def _settle(studio: Studio, histories: list[History]) -> None:
    """Wait until nothing waits any more and all is right; then nothing may come to change it."""

    def wrong() -> dict[int, str]:
        return {told.seed: why for told in histories if (why := studio.wrong(told))}

    def right() -> bool:
        return not studio.busy() and not wrong() and not studio.busy()

    try:
        studio.pipeline.wait_for("end", right, deadline_s=120 + 6 * len(histories))
    except AssertionError:
        found = wrong()
        again = AGAIN.format(",".join(map(str, (told.seed for told in histories))))
        pytest.fail(f"{found}\nto see it again: {again}")
