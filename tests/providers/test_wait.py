"""Waiting ends with the status of just the version that was uploaded, whoever tells of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from imgpipe.operate import wait
from imgpipe.operate.project import Project
from imgpipe.operate.upload.send import Sent
from imgpipe.operate.upload.sources import NotSent
from imgpipe.operate.wait import Clock, Ended
from tests.studio import (
    in_moto,
    put_row,
    result,
    s3_event,
    sns_envelope,
)


@pytest.fixture
def project() -> Iterator[Project]:
    with in_moto() as made:
        yield made


class World:
    """A clock that moves when somebody sleeps, and does what is due by then."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, Callable[[], Any]]] = []

    def later(self, seconds: float, do: Callable[[], Any]) -> None:
        self._due.append((seconds, do))

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for due in [due for due in self._due if due[0] <= self.now]:
            self._due.remove(due)
            due[1]()

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.now, self.sleep)


def upload(project: Project, key: str) -> Sent:
    answer = project.cloud.client("s3").put_object(
        Bucket=project.graph.uploads_bucket, Key=key, Body=b"x"
    )
    return Sent(key, key, answer["VersionId"], answer["ETag"].strip('"'), 1)


def ends(
    project: Project, world: World, *sent: Sent | NotSent, timeout_s: float = 60
) -> dict[str, Ended]:
    found = wait.follow(project, sent, timeout_s, world.clock)
    return {event.key: event for event in found if isinstance(event, Ended)}


def test_each_image_ends_as_its_row_says(project: Project) -> None:
    world = World()
    sent = {
        name: upload(project, f"incoming/{name}.jpg") for name in ("done", "rejected", "failed")
    }
    for delay, (name, item) in enumerate(sent.items(), start=1):
        error = {
            "class": "E",
            "message": "m",
            "reason": "unsupported_format" if name == "rejected" else "",
        }
        more = {} if name == "done" else {"error": error, "outputs": {}}
        said = result(item.key, version_id=item.version_id, status=name, **more)
        world.later(delay, lambda said=said: put_row(project, said))

    found = ends(project, world, *sent.values())
    assert {key: (image.status, image.reason) for key, image in found.items()} == {
        "incoming/done.jpg": ("done", None),
        "incoming/rejected.jpg": ("rejected", "unsupported_format"),
        "incoming/failed.jpg": ("failed", "E: m"),
    }
    assert set(found["incoming/done.jpg"].as_json()) == {"key", "status", "reason", "outputs", "ms"}
    assert found["incoming/done.jpg"].outputs["thumb"]["width"] == 200
    assert found["incoming/done.jpg"].ms == 1500


def test_the_row_of_an_earlier_version_is_not_the_answer(project: Project) -> None:
    world = World()
    put_row(project, result("incoming/a.jpg", version_id="an older one"))
    item = upload(project, "incoming/a.jpg")
    newer = result("incoming/a.jpg", version_id=item.version_id, sequencer="02", status="failed")
    world.later(5, lambda: put_row(project, newer))
    assert ends(project, world, item)["incoming/a.jpg"].status == "failed"


def test_what_has_not_ended_at_the_timeout_is_pending(project: Project) -> None:
    world = World()
    found = ends(project, world, upload(project, "incoming/a.jpg"), timeout_s=7)
    assert (found["incoming/a.jpg"].status, found["incoming/a.jpg"].reason) == (
        "pending",
        "timeout",
    )
    assert 7 <= world.now < 9


def test_an_image_that_killed_its_function_ends_by_its_dead_letter(project: Project) -> None:
    world = World()
    item = upload(project, "incoming/bomb.jpg")
    record = {
        "requestContext": {"requestId": "r", "condition": "RetriesExhausted"},
        "requestPayload": {
            "Records": [{"Sns": sns_envelope(s3_event(item.key, str(item.version_id)))}]
        },
        "responsePayload": {"errorMessage": "x Task timed out after 60.00 seconds"},
    }
    url = project.graph.place.queue_url(project.graph.queues["thumbs-dlq"])
    sqs = project.cloud.client("sqs")
    world.later(4, lambda: sqs.send_message(QueueUrl=url, MessageBody=json.dumps(record)))

    found = ends(project, world, item)
    assert found["incoming/bomb.jpg"].status == "failed"
    assert found["incoming/bomb.jpg"].reason == "Timeout: Task timed out after 60.00 seconds"
    assert world.now < 10


def test_a_version_that_was_replaced_or_removed_is_not_waited_for(project: Project) -> None:
    world = World()
    s3, bucket = project.cloud.client("s3"), project.graph.uploads_bucket
    replaced, removed = upload(project, "incoming/a.jpg"), upload(project, "incoming/b.jpg")
    upload(project, "incoming/a.jpg")
    s3.delete_object(Bucket=bucket, Key="incoming/b.jpg")

    found = ends(project, world, replaced, removed)
    assert {key: image.reason for key, image in found.items()} == {
        "incoming/a.jpg": "superseded",
        "incoming/b.jpg": "removed",
    }


def test_what_was_not_sent_is_passed_on_and_not_waited_for(project: Project) -> None:
    item = NotSent("x", None, "unreadable", "why")
    assert list(wait.follow(project, [item], 60, World().clock)) == [item]


def test_uploads_pause_while_many_images_are_on_the_way(project: Project) -> None:
    """The number under way is bounded, and images behind ones that never end are noticed all the same."""
    world = World()
    stuck = [
        Sent(f"p{number}", f"incoming/p{number}.jpg", "v1", "e", 1)
        for number in range(wait.ASK_AT_ONCE)
    ]
    quick = Sent("q", "incoming/q.jpg", "v1", "e", 1)
    put_row(project, result("incoming/q.jpg"))
    waiting = wait.Waiting(project, 600, world.clock)
    for item in [*stuck, quick]:
        waiting.add(item)
    assert waiting.poll() == []
    assert [image.key for image in waiting.poll()] == ["incoming/q.jpg"]
