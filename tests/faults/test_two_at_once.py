"""Two people run a command at the same moment: nothing is damaged or lost, and who must wait is told for whom."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from imgpipe.deploy import lease
from imgpipe.deploy.plan import pending
from imgpipe.errors import ImgpipeError
from imgpipe.operate import provision
from imgpipe.operate.backfill import manifest, send
from imgpipe.operate.dlq import find, mover, queues, route
from tests.faults import on_moto
from tests.faults.on_moto import World
from tests.faults.test_every_call import ALL, _bodies, _queue
from tests.studio import s3_event, sns_envelope

LETTERS = 30


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    yield from _world(tmp_path, "point-to-point", monkeypatch)


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    yield from _world(tmp_path, "studio", monkeypatch)


def _world(folder: Path, template: str, patch: pytest.MonkeyPatch) -> Iterator[World]:
    logging.disable(logging.WARNING)
    made = on_moto.world(folder, template, patch)
    with made.fresh():
        yield made
    logging.disable(logging.NOTSET)


def together(*commands: Callable[[], object]) -> list[ImgpipeError]:
    """Run the commands at once; return what they said that went wrong. Any other error is a failure."""
    begin, said, broken = threading.Barrier(len(commands)), list[ImgpipeError](), list[Exception]()

    def run(command: Callable[[], object]) -> None:
        begin.wait()
        try:
            command()
        except ImgpipeError as error:
            said.append(error)
        except Exception as error:  # noqa: BLE001 - shown by the thread that asserts
            broken.append(error)

    threads = [threading.Thread(target=run, args=(command,)) for command in commands]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert broken == []
    return said


def test_two_ups_end_as_one(world: World) -> None:
    assert together(world.up, world.up) == []
    assert pending(provision.plan(world.project)) == []
    after_two = world.snapshot()
    with world.fresh():
        world.up()
        assert after_two == world.snapshot()


@pytest.mark.fault("F-8")
def test_up_and_down_at_once_leave_what_either_can_finish(world: World) -> None:
    world.up()
    for told in together(world.up, world.down):
        assert told.hint, told
    world.up()
    assert pending(provision.plan(world.project)) == []
    world.down()
    assert world.snapshot() == {}


def test_an_up_waits_for_a_holder_that_is_named(world: World) -> None:
    world.up()
    s3, bucket = world.client("s3"), world.project.graph.variants_bucket
    body = {"verb": "down", "user": "ann", "host": "elsewhere", "pid": 7, "id": "other"}
    s3.put_object(Bucket=bucket, Key=lease.KEY, Body=json.dumps(body).encode())
    world.client("sqs").delete_queue(QueueUrl=_url(world, "rejected"))
    said: list[str] = []

    def give_back(text: str) -> None:
        said.append(text)
        s3.delete_object(Bucket=bucket, Key=lease.KEY)

    planned = provision.plan(world.project)
    for _ in provision.up(world.project, planned, say=give_back):
        pass
    assert said == ["waiting for `imgpipe down` of ann on elsewhere (process 7)"]
    assert pending(provision.plan(world.project)) == []


def _url(world: World, queue: str) -> str:
    return world.project.graph.place.queue_url(world.project.graph.queues[queue])


def test_two_redrives_lose_no_letter(studio: World) -> None:
    bodies = {
        json.dumps(sns_envelope(s3_event(f"incoming/{number}.jpg"))) for number in range(LETTERS)
    }
    for name in studio.project.graph.queues.values():
        studio.client("sqs").create_queue(QueueName=name)
    for body in bodies:
        studio.client("sqs").send_message(QueueUrl=_url(studio, "enhance-dlq"), MessageBody=body)
    outcomes: list[mover.Outcome] = []

    def redrive() -> None:
        homes = queues.homes(studio.project.graph)
        letters = find.letters(studio.project, homes)
        ways = [(letter, route.route(studio.project.graph, letter)) for letter in letters]
        outcomes.extend(mover.redrive(studio.project, homes, ways))

    assert together(redrive, redrive) == []
    assert {outcome.status for outcome in outcomes} <= {"moved", "gone"}
    held = _bodies(studio, "enhance-dlq")
    redrive()
    assert _bodies(studio, "enhance-dlq") == set()
    assert {json.loads(body)["Message"] for body in _bodies(studio, "enhance")} == {
        json.loads(body)["Message"] for body in bodies
    }
    assert len(_queue(studio, "enhance")._messages) == LETTERS, f"some went twice; {len(held)} left"


def test_two_that_send_one_backfill_are_told_of_each_other(
    studio: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send, "BATCH", 2)
    studio.up()
    for queue in ("enhance", "images"):
        _queue(studio, queue).lambda_event_source_mappings.clear()  # or moto empties it
    for number in range(20):
        studio.client("s3").put_object(
            Bucket=studio.project.graph.uploads_bucket, Key=f"incoming/{number}.jpg", Body=b"x"
        )
    _, run = send.freeze(studio.project, ALL, 0)

    def resume() -> None:
        for _ in send.send(studio.project, manifest.load(studio.project, run.id), send.Pace(0)):
            pass

    said = together(resume, resume)
    assert len(said) <= 1
    assert all("another process is sending it" in str(told) for told in said)
    ended = manifest.load(studio.project, run.id)
    assert (ended.sent, ended.left, bool(ended.ended)) == (20, 0, True)
    assert sum(f"incoming/{n}.jpg" in "".join(_bodies(studio, "enhance")) for n in range(20)) == 20


def test_two_backfills_at_once_send_every_image(studio: World) -> None:
    studio.up()
    for queue in ("enhance", "images"):
        _queue(studio, queue).lambda_event_source_mappings.clear()
    for number in range(5):
        studio.client("s3").put_object(
            Bucket=studio.project.graph.uploads_bucket, Key=f"incoming/{number}.jpg", Body=b"x"
        )

    def backfill() -> None:
        _, run = send.freeze(studio.project, ALL, 0)
        if run.images:
            for _ in send.send(studio.project, run, send.Pace(0)):
                pass

    assert together(backfill, backfill) == []
    assert send.count(studio.project, ALL).found.images == 0
    assert sum(f"incoming/{n}.jpg" in "".join(_bodies(studio, "enhance")) for n in range(5)) == 5
