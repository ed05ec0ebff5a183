"""`erase`, killed at every call and run again: nothing is left, nobody else's is touched, and there is a receipt."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from moto.sqs.models import sqs_backends

from imgpipe.cli import examine
from imgpipe.errors import ImgpipeError, MissingError
from imgpipe.operate import ops
from imgpipe.operate.audit import walk
from imgpipe.operate.backfill import manifest
from imgpipe.operate.backfill.work import Item, Task
from imgpipe.operate.dlq import find, queues, rescue
from imgpipe.operate.erase import run
from imgpipe.operate.erase.run import Receipt
from imgpipe.operate.project import Project
from imgpipe.runtime.results import output_key
from tests.providers.test_interrupted import Fault, Killed
from tests.studio import (
    ACCOUNT,
    REGION,
    Clients,
    in_moto,
    put_row,
    result,
    s3_event,
    sns_envelope,
    studio,
)

pytestmark = [pytest.mark.capability("X13"), pytest.mark.slow]
KEY, OTHER = "incoming/ä photo.jpg", "incoming/other.jpg"
CALLS = 17
"""One more than change something when the upload below is erased."""
LOOKS = 60
"""Less than look into queues meanwhile: who is killed at one leaves messages hidden."""


def output(project: Project, key: str) -> str:
    return output_key("thumb", key, project.graph.prefix, "0" * 12, "jpg")


def message(key: str) -> str:
    return json.dumps(sns_envelope(s3_event(key)))


def send(project: Project, queue: str, key: str) -> None:
    url = project.graph.place.queue_url(project.graph.queues[queue])
    project.cloud.client("sqs").send_message(QueueUrl=url, MessageBody=message(key))


def item(key: str) -> Item:
    return Item(
        key=key, version_id="v1", etag="e", size=1, at="", sequencer="01", steps={"enhance": "h"}
    )


def upload(project: Project, key: str) -> None:
    """Leave of an upload all that can be left of one."""
    s3, graph = project.cloud.client("s3"), project.graph
    for body in (b"1", b"2"):
        s3.put_object(Bucket=graph.uploads_bucket, Key=key, Body=body)
    s3.delete_object(Bucket=graph.uploads_bucket, Key=key)
    s3.create_multipart_upload(Bucket=graph.uploads_bucket, Key=key)
    made = output(project, key)
    s3.put_object(Bucket=graph.variants_bucket, Key=made, Body=b"thumb")
    outputs = {"thumb": {"key": made, "width": 1, "height": 1, "bytes": 5, "format": "jpeg"}}
    put_row(project, result(key, outputs=outputs))
    for queue in ("enhance-dlq", "rejected", "enhance"):
        send(project, queue, key)


def archive(project: Project, key: str) -> None:
    homes = queues.homes(project.graph)
    letters = [it for it in find.letters(project, homes) if it.key == key]
    assert [it.status for it in rescue.archive(project, homes, letters)] == ["moved"] * 2


@pytest.fixture
def project() -> Iterator[Project]:
    """A pipeline with an upload that left everything everywhere, and another one beside it."""
    with in_moto() as made:
        upload(made, KEY)
        archive(made, KEY)
        for queue in ("enhance-dlq", "rejected"):
            send(made, queue, KEY)
        upload(made, OTHER)
        manifest.write_parts(made, "20261121T070000Z-abcd", map(item, ("incoming/a", KEY, OTHER)))
        about = Task(command="reprocess")
        note = manifest.Run(
            id="20261121T070000Z-abcd", task=about, prefix=KEY, started="", images=3,
            nanodollars=0, hashes={}, code={}, rate=0.0,
        )  # fmt: skip
        manifest.save(made, note)
        ops.write(made, walk.note_name("incoming/"), {"after": KEY})
        yield made


def pass_time(_: float = 0) -> None:
    """Show every message that somebody has received, as SQS does after a while."""
    for queue in sqs_backends[ACCOUNT][REGION].queues.values():
        for each in queue._messages:
            each.visible_at = 0


@dataclass
class Clock:
    """Four seconds pass between any two looks at it."""

    moments: Iterator[int] = field(default_factory=lambda: itertools.count(0, 4))

    def __call__(self) -> float:
        return float(next(self.moments))


def erased(project: Project, timeout_s: float = 500) -> Receipt:
    *_, last = run.erase(project, KEY, timeout_s=timeout_s, now=Clock(), sleep=pass_time)
    return last


def notes_naming(project: Project, key: str) -> list[str]:
    """Return the notes that have `key` in them, but for the receipts."""
    names = [it for it in ops.names(project, "") if not it.startswith("erase/")]
    s3, bucket = project.cloud.client("s3"), project.graph.variants_bucket
    texts = {it: s3.get_object(Bucket=bucket, Key=f"ops/{it}")["Body"].read() for it in names}
    spelled = (key.encode(), json.dumps(key).encode(), key.rpartition("/")[2].encode())
    return [name for name, text in texts.items() if any(word in text for word in spelled)]


def left(project: Project, key: str) -> dict[str, int]:
    """Count what there is of a key, asked of each service without `erase`."""
    pass_time()
    s3, graph = project.cloud.client("s3"), project.graph
    versions = s3.list_object_versions(Bucket=graph.uploads_bucket, Prefix=key)
    parts = s3.list_multipart_uploads(Bucket=graph.uploads_bucket).get("Uploads", [])
    made = s3.list_objects_v2(Bucket=graph.variants_bucket, Prefix=output(project, key))
    rows = project.cloud.client("dynamodb").scan(TableName=graph.table)["Items"]
    bodies = [
        each.body
        for queue in sqs_backends[ACCOUNT][REGION].queues.values()
        for each in queue._messages
        if each.body == message(key)
    ]
    return {
        "versions": len(versions.get("Versions", [])) + len(versions.get("DeleteMarkers", [])),
        "parts": sum(it["Key"] == key for it in parts),
        "outputs": made["KeyCount"],
        "rows": sum(it["pk"]["S"] == key for it in rows),
        "messages": len(bodies),
        "notes": len(notes_naming(project, key)),
    }


NOTHING = {"versions": 0, "parts": 0, "outputs": 0, "rows": 0, "messages": 0, "notes": 0}
EVERYTHING = {"versions": 3, "parts": 1, "outputs": 1, "rows": 1, "messages": 3, "notes": 5}


def test_all_of_an_upload_goes_and_the_receipt_lists_it(project: Project) -> None:
    others = left(project, OTHER)
    assert left(project, KEY) == EVERYTHING

    receipt = erased(project)

    assert receipt.complete
    assert left(project, KEY) == NOTHING
    assert left(project, OTHER) == others
    assert {kind: len(some) for kind, some in receipt.removed.items()} == {
        "versions": 3,
        "unfinished_uploads": 1,
        "outputs": 1,
        "rows": 1,
        "dead_letters": 2,
        "queued_messages": 1,
        "notes": 5,
    }
    assert set(receipt.verified) == set(receipt.removed)
    assert ops.read(project, receipt.name.removeprefix("ops/")) == receipt.as_json()


def test_what_is_not_there_is_an_error_of_a_dry_run_as_elsewhere(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examine, "_open", lambda *_: project)
    with pytest.raises(MissingError, match=r"incoming/nope.jpg: nothing of it is there"):
        examine.erase("nope.jpg", dry_run=True)
    examine.erase(KEY, dry_run=True)


def test_a_run_keeps_its_place_for_an_upload_that_was_erased(project: Project) -> None:
    erased(project)
    kept = manifest.load(project, "20261121T070000Z-abcd")
    assert [it.key for it in manifest.items(project, kept)] == ["incoming/a", "", OTHER]
    assert kept.prefix == "(erased)"


class Kill(Fault):
    """Strikes after the n-th call of those named by `of`."""

    of: tuple[str, ...] = ("Put", "Delete", "Abort")

    def _before(self, event_name: str, **more: Any) -> None:
        if self.dead or event_name.rpartition(".")[2].startswith(self.of):
            super()._before(event_name, **more)


class KillAtLook(Kill):
    of = ("Receive", "ChangeMessageVisibility")


def killed(fault: Fault) -> Fault:
    """Erase with clients that `fault` watches, until the process dies or ends."""
    plain, services = Clients(), ("s3", "sqs", "dynamodb", "lambda", "logs")
    doomed = studio(**{name: fault.watch(plain.client(name)) for name in services})
    try:
        erased(doomed)
    except Killed:
        assert fault.dead
    except ImgpipeError:  # what a thread of ours makes of it
        assert fault.dead
    return fault


CHANGES = [pytest.param(Kill(n, "after"), id=f"call {n}") for n in range(1, CALLS)]
READS = [pytest.param(KillAtLook(n, "after"), id=f"look {n}") for n in range(1, LOOKS, 25)]


@pytest.mark.parametrize("fault", [*CHANGES, *READS])
def test_killed_at_any_call_and_run_again_nothing_is_left(project: Project, fault: Fault) -> None:
    others = left(project, OTHER)
    assert killed(fault).dead

    assert erased(project).complete

    assert left(project, KEY) == NOTHING
    assert left(project, OTHER) == others
    receipts = [ops.read(project, name) for name in ops.names(project, "erase/")]
    assert all(it and it["complete"] for it in receipts)
    removed = {
        json.dumps(each)
        for it in receipts
        if it
        for some in it["removed"].values()
        for each in some
    }
    assert len(removed) == sum(EVERYTHING.values()), (
        "each receipt goes on where the last one stopped"
    )


def test_the_numbers_above_cover_every_call(project: Project) -> None:
    assert killed(Kill(0, "after")).seen == CALLS - 1
    upload(project, KEY)
    assert killed(KillAtLook(0, "after")).seen >= LOOKS


def test_a_letter_that_somebody_holds_is_waited_for(project: Project) -> None:
    """Another reader hides it for half a minute: it is not absent because it doesn't show."""
    url = project.graph.place.queue_url(project.graph.queues["rejected"])
    sqs = project.cloud.client("sqs")
    sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=600)
    held: Callable[[float], None] = lambda _: None  # noqa: E731 - time passes, and nobody gives it back
    *_, receipt = run.erase(project, KEY, timeout_s=60, now=Clock(), sleep=held)
    assert not receipt.complete
    assert left(project, KEY)["messages"] == 1
    assert erased(project).complete
    assert left(project, KEY) == NOTHING


def test_looking_into_a_queue_makes_no_dead_letters_of_others(project: Project) -> None:
    """A message of another upload that nobody takes is met at most as often as a step may still try it."""
    erased(project)
    queue = sqs_backends[ACCOUNT][REGION].queues[project.graph.queues["enhance"]]
    [other] = [each for each in queue._messages if each.body == message(OTHER)]
    assert other.approximate_receive_count <= 4


def test_what_a_busy_pipeline_works_on_is_waited_for_so_long_only(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "HIDDEN_ROUNDS", 8)
    send(project, "images", OTHER)
    url = project.graph.place.queue_url(project.graph.queues["images"])

    def work(_: float) -> None:
        pass_time()
        project.cloud.client("sqs").receive_message(QueueUrl=url, VisibilityTimeout=900)

    *_, receipt = run.erase(project, KEY, timeout_s=5000, now=Clock(), sleep=work)
    assert receipt.complete
    assert "1 of any image were being worked on" in receipt.verified["queued_messages"]


def test_nothing_of_a_key_is_verified_as_well(project: Project) -> None:
    *_, receipt = run.erase(
        project, "incoming/never.jpg", timeout_s=500, now=Clock(), sleep=pass_time
    )
    assert receipt.complete
    assert receipt.total == 0


def test_what_would_go_is_shown_with_the_notes_that_name_it(project: Project) -> None:
    found: Any = run.find(project, "ä photo.jpg").as_json()
    assert sorted(it["what"] for it in found["notes"]) == [
        "a dead letter, archived",
        "a dead letter, archived",
        "a run of this image alone",
        "an interrupted audit's place",
        "its place in the list of a run",
    ]
