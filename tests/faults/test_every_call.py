"""Every changing call of `up`, `down`, `upload`, `backfill` and `dlq redrive` meets a fault: run again, all is as if
nothing had happened.

Here each call meets one fault that ends the run, and every call at once each fault that the SDK gets over. With
IMGPIPE_SOAK=1 (`make soak`) each call meets every one.
"""

from __future__ import annotations

import json
import logging
import os
import shlex
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from imgpipe.deploy.plan import pending
from imgpipe.errors import DeniedError, ImgpipeError
from imgpipe.operate import provision
from imgpipe.operate.backfill import choose, manifest, send
from imgpipe.operate.backfill.work import Task
from imgpipe.operate.dlq import find, mover, queues, route
from imgpipe.operate.upload import run as uploading
from imgpipe.operate.upload import sources
from tests.faults import on_moto
from tests.faults.account import differences
from tests.faults.on_moto import World
from tests.faults.strikes import ENDING, KINDS, PASSING, Kind, Strike
from tests.studio import s3_event, sns_envelope

SOAK = bool(os.environ.get("IMGPIPE_SOAK"))
ONE = os.environ.get("IMGPIPE_STRIKE", "")
"""The one fault to be tried, as a test that failed has printed it; all, if there is none."""
PARTS = 4
"""Each law is as many tests, so that two cores share them."""

Command = Callable[[], object]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    yield from _world(tmp_path, "studio" if SOAK else "point-to-point", monkeypatch)


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    yield from _world(tmp_path, "studio", monkeypatch)


def _world(folder: Path, template: str, patch: pytest.MonkeyPatch) -> Iterator[World]:
    logging.disable(logging.WARNING)  # moto looks for Docker, and says so
    yield on_moto.world(folder, template, patch)
    logging.disable(logging.NOTSET)


def strikes(calls: list[str], part: int, kinds: tuple[Kind, ...] = ENDING) -> Iterator[Strike]:
    """Yield this part of the faults, and print how each is tried again: pytest shows the last of a test that fails."""
    known = {f"{kind} {call}" for kind in KINDS for call in calls}
    assert not ONE or ONE in known, f"no such call: {ONE}; there are {sorted(calls)}"
    for strike in chosen(calls, part, kinds):
        if not ONE or f"{strike.kind} {strike.call}" == ONE:
            print(f"to see it again: {replay(strike)}")
            yield strike


def chosen(calls: list[str], part: int, kinds: tuple[Kind, ...]) -> list[Strike]:
    """Return each call with one of `kinds`, in turn; for `make soak`, each call with every kind."""
    every = sorted(calls)
    if SOAK:
        return [Strike(kind, call) for call in every[part::PARTS] for kind in KINDS]
    return [
        Strike(kinds[number % len(kinds)], call)
        for number, call in enumerate(every)
        if number % PARTS == part
    ]


def replay(strike: Strike) -> str:
    """Return the command that tries one strike again."""
    test = os.environ["PYTEST_CURRENT_TEST"].rpartition(" ")[0]
    only = shlex.quote(f"{strike.kind} {strike.call}")
    soak = "IMGPIPE_SOAK=1 " if SOAK else ""
    return f"{soak}IMGPIPE_STRIKE={only} python -m pytest -n 0 {shlex.quote(test)}"


def test_a_strike_is_printed_with_the_command_that_tries_it_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And that command tries this one alone."""
    monkeypatch.setattr(f"{__name__}.SOAK", False)
    calls = ["sqs:CreateQueue one", "sqs:CreateQueue it's"]
    [first] = strikes(calls, 0, ("denied",))
    words = dict(
        word.split("=", 1) for word in shlex.split(capsys.readouterr().out) if "STRIKE=" in word
    )
    monkeypatch.setattr(f"{__name__}.ONE", words["IMGPIPE_STRIKE"])
    tried = [each for part in range(PARTS) for each in strikes(calls, part, ("denied",))]
    assert tried == [first]


def check_message(strike: Strike, told: ImgpipeError | None) -> None:
    """A denied permission is named, with the call that it is for."""
    if strike.kind == "denied" and told is not None:
        assert isinstance(told, DeniedError), (strike, told)
        assert strike.call is not None
        assert strike.call.partition(":")[2].partition(" ")[0] in f"{told.why} {told.hint}"


def converges(world: World, command: Command, strike: Strike, wanted: dict[str, Any]) -> None:
    told = world.disturbed(command, strike)
    if strike.kind in PASSING:
        assert told is None, f"{strike}: {told}"
    check_message(strike, told)
    command()
    assert not (found := differences(wanted, world.snapshot())), f"{strike}\n" + "\n".join(found)


@pytest.mark.fault("F-1", "F-2", "F-14")
@pytest.mark.parametrize("part", range(PARTS))
def test_up_that_meets_a_fault_is_mended_by_running_it_again(world: World, part: int) -> None:
    with world.fresh():
        calls = world.calls(world.up)
        wanted = world.snapshot()
    for strike in strikes(calls, part):
        with world.fresh():
            converges(world, world.up, strike, wanted)
            assert pending(provision.plan(world.project)) == []


@pytest.mark.fault("F-5", "F-14")
@pytest.mark.parametrize("part", range(PARTS))
def test_down_that_meets_a_fault_leaves_nothing_when_run_again(world: World, part: int) -> None:
    with world.fresh():
        world.up()
        calls = world.calls(world.down)
        assert world.snapshot() == {}
    for strike in strikes(calls, part):
        with world.fresh():
            world.up()
            converges(world, world.down, strike, {})


@pytest.mark.fault("F-3", "F-9", "F-11", "F-12")
@pytest.mark.parametrize("kind", PASSING)
def test_a_fault_at_every_call_at_once_that_the_sdk_gets_over(studio: World, kind: Kind) -> None:
    with studio.fresh():
        studio.up()
        wanted = studio.snapshot()
    with studio.fresh():
        assert studio.disturbed(studio.up, Strike(kind)) is None
        assert differences(wanted, studio.snapshot()) == []
        assert studio.disturbed(studio.down, Strike(kind)) is None
        assert studio.snapshot() == {}


def _photos(folder: Path) -> list[str]:
    """Return what to upload: small files in a folder, and a large one that goes in parts."""
    album = folder / "album"
    album.mkdir()
    for number in range(3):
        (album / f"{number}.jpg").write_bytes(b"%d" % number * 100)
    large = folder / "large.jpg"
    large.write_bytes(os.urandom(17 * 2**20))
    return [str(album), str(large)]


def _upload(world: World, paths: list[str]) -> None:
    prefix = sources.target(world.project.graph.prefix, "")
    found = sources.meant(sources.find(paths, prefix))
    for outcome in uploading.run(world.project, found, lambda _: None):
        if isinstance(outcome, sources.NotSent):
            raise ImgpipeError(outcome.path, outcome.why)


def _objects(world: World) -> dict[str, tuple[int, str]]:
    s3, bucket = world.client("s3"), world.project.graph.uploads_bucket
    listed = s3.list_objects_v2(Bucket=bucket).get("Contents", ())
    return {it["Key"]: (it["Size"], it["ETag"]) for it in listed}


def _parts_left(world: World) -> int:
    """Return how many parts lie in uploads that nobody finished."""
    s3, bucket = world.client("s3"), world.project.graph.uploads_bucket
    return sum(
        len(s3.list_parts(Bucket=bucket, Key=it["Key"], UploadId=it["UploadId"]).get("Parts", ()))
        for it in s3.list_multipart_uploads(Bucket=bucket).get("Uploads", ())
    )


def _make_bucket(world: World) -> None:
    s3, bucket = world.client("s3"), world.project.graph.uploads_bucket
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


@pytest.mark.fault("F-18", "F-14")
def test_an_upload_that_meets_a_fault_is_finished_by_the_next(
    studio: World, tmp_path: Path
) -> None:
    paths = _photos(tmp_path)

    def command() -> None:
        _upload(studio, paths)

    with studio.fresh():
        _make_bucket(studio)
        calls = studio.calls(command)
        wanted = _objects(studio)
        assert len(wanted) == 4
    for strike in (it for part in range(PARTS) for it in strikes(calls, part, KINDS)):
        with studio.fresh():
            _make_bucket(studio)
            told = studio.disturbed(command, strike)
            check_message(strike, told)
            command()
            assert _objects(studio) == wanted, strike
            assert _parts_left(studio) == 0, strike


ALL = choose.Asked(task=Task(command="backfill"), grace=timedelta(0))


def _backfill(world: World) -> None:
    """Do as a person is told: resume what was interrupted; then see that nothing is left."""
    for earlier in choose.unfinished(world.project):
        _send(world, manifest.load(world.project, earlier.id))
    _, run = send.freeze(world.project, ALL, 0)
    if run.images:
        _send(world, run)


def _send(world: World, run: manifest.Run) -> None:
    for _ in send.send(world.project, run, send.Pace(0)):
        pass


def _queue(world: World, queue: str) -> Any:
    """Return moto's own queue."""
    from moto.sqs.models import sqs_backends

    name = world.project.graph.queues[queue]
    return sqs_backends[on_moto.ACCOUNT][on_moto.REGION].queues[name]


def _bodies(world: World, queue: str) -> set[str]:
    """Return what lies in a queue, what somebody holds too."""
    held = _queue(world, queue)._messages
    for message in held:
        message.visible_at = 0  # whoever held it is dead, and time passes
    return {message.body for message in held}


@pytest.mark.fault("F-11", "F-14")
def test_a_backfill_that_meets_a_fault_is_resumed(
    studio: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send, "BATCH", 2)

    s3, graph = studio.client("s3"), studio.project.graph

    def begin() -> None:
        """Forget all runs, and what was sent."""
        noted = s3.list_objects_v2(Bucket=graph.variants_bucket, Prefix="ops/backfill/")
        for it in noted.get("Contents", ()):
            s3.delete_object(Bucket=graph.variants_bucket, Key=it["Key"])
        for queue in ("enhance", "images"):
            _queue(studio, queue).lambda_event_source_mappings.clear()  # or moto empties it
            _queue(studio, queue)._messages.clear()

    def keys(queue: str) -> set[str]:
        found = _bodies(studio, queue)
        return {
            f"incoming/{n}.jpg" for n in range(5) if any(f"incoming/{n}.jpg" in it for it in found)
        }

    with studio.fresh():
        studio.up()
        for number in range(5):
            s3.put_object(Bucket=graph.uploads_bucket, Key=f"incoming/{number}.jpg", Body=b"x")
        begin()
        calls = studio.calls(lambda: _backfill(studio))
        assert len(keys("enhance")) == 5
        for strike in (it for part in range(PARTS) for it in strikes(calls, part, KINDS)):
            begin()
            told = studio.disturbed(lambda: _backfill(studio), strike)
            check_message(strike, told)
            _backfill(studio)
            assert [len(keys(queue)) for queue in ("enhance", "images")] == [5, 5], strike
            assert choose.unfinished(studio.project) == [], strike


def _redrive(world: World) -> None:
    homes = queues.homes(world.project.graph)
    letters = find.letters(world.project, homes)
    ways = [(letter, route.route(world.project.graph, letter)) for letter in letters]
    outcomes = list(mover.redrive(world.project, homes, ways))
    for outcome in outcomes:
        if outcome.status == "failed":
            raise DeniedError("a letter", outcome.why, hint="imgpipe dlq redrive")


@pytest.mark.fault("F-34")
def test_a_redrive_that_meets_a_fault_is_finished_by_the_next(studio: World) -> None:
    bodies = {json.dumps(sns_envelope(s3_event(f"incoming/{number}.jpg"))) for number in range(4)}
    graph = studio.project.graph

    def begin() -> None:
        for name in graph.queues.values():
            studio.client("sqs").create_queue(QueueName=name)
        for body in bodies:
            url = graph.place.queue_url(graph.queues["enhance-dlq"])
            studio.client("sqs").send_message(QueueUrl=url, MessageBody=body)

    with studio.fresh():
        begin()
        calls = studio.calls(lambda: _redrive(studio))
        moved = _bodies(studio, "enhance")
        assert (len(moved), _bodies(studio, "enhance-dlq")) == (4, set())
    for strike in (it for part in range(PARTS) for it in strikes(calls, part, KINDS)):
        with studio.fresh():
            begin()
            told = studio.disturbed(lambda: _redrive(studio), strike)
            check_message(strike, told)
            both = _bodies(studio, "enhance") | _bodies(studio, "enhance-dlq")
            assert len(both) >= len(bodies), strike
            _redrive(studio)
            assert _bodies(studio, "enhance") == moved, strike
            assert _bodies(studio, "enhance-dlq") == set(), strike
