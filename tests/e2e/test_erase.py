"""`imgpipe erase`: nothing of an upload is left anywhere, its neighbours stay, and the receipt says so."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.pipeline import Pipeline
from tests.e2e.test_why import PHOTO, Studio

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.capability("X13"),
    pytest.mark.xdist_group("erase"),
]


@pytest.fixture(scope="module")
def erased(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A studio that the tests share; each erases keys of its own."""
    pipeline = Pipeline.copy_to(tmp_path_factory.mktemp("erase"))
    try:
        pipeline.run("up", "--yes")
        yield Studio(pipeline)
    finally:
        pipeline.run("local", "stop", code=None)


def traces(studio: Studio, key: str) -> dict[str, int]:
    """Count what there is of a key, asked of each service without imgpipe."""
    s3, uploads = studio.client("s3"), studio.outputs["uploads_bucket"]
    listed = s3.list_object_versions(Bucket=uploads, Prefix=f"incoming/{key}")
    items = studio.client("dynamodb").query(
        TableName=studio.outputs["table"],
        KeyConditionExpression="pk = :key",
        ExpressionAttributeValues={":key": {"S": f"incoming/{key}"}},
    )
    stem = key.rpartition(".")[0]
    outputs = s3.list_objects_v2(Bucket=studio.outputs["variants_bucket"]).get("Contents", [])
    return {
        "versions": len(listed.get("Versions", [])) + len(listed.get("DeleteMarkers", [])),
        "items": items["Count"],
        "outputs": sum(f"/{stem}." in it["Key"] for it in outputs),
    }


def waiting(studio: Studio, queue: str, *more: str) -> int:
    """Count a queue's messages, with `NotVisible` and `Delayed` those that are held and held back, too."""
    names = [f"ApproximateNumberOfMessages{each}" for each in ("", *more)]
    answer = studio.client("sqs").get_queue_attributes(
        QueueUrl=studio.queue(queue), AttributeNames=names
    )
    return sum(int(answer["Attributes"][name]) for name in names)


def idle(studio: Studio) -> bool:
    """Say whether nobody but the paused branch has work; asked in the order in which one makes work for the next."""
    order = ("images", "results", "notifier")
    return all(waiting(studio, it, "NotVisible", "Delayed") == 0 for it in order)


def stays_idle(studio: Studio) -> bool:
    """Look again in a while: what a function is called with directly waits in no queue."""
    time.sleep(2)
    return idle(studio)


def receipt(studio: Studio, key: str, *args: str, code: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = studio.pipeline.run(
        "erase", key, "--yes", "--json", *args, code=code
    ).json
    return found


def test_an_erased_upload_is_gone_everywhere_and_its_neighbours_stay(erased: Studio) -> None:
    studio = erased
    for _ in range(2):
        studio.pipeline.run("upload", PHOTO, "--wait")
    studio.put("rocket.png", PHOTO.read_bytes())
    studio.pipeline.wait_for("the neighbour", lambda: studio.why("rocket.png")["well"])
    neighbour = studio.pipeline.run("metadata", "show", "rocket.png", "--json").json
    shown = studio.pipeline.run("erase", "rocket.jpg", "--dry-run", "--json").json
    assert (len(shown["found"]["versions"]), len(shown["found"]["outputs"])) == (2, 4)
    assert studio.pipeline.run("erase", "rocket.jpg", code=2), "no terminal to ask on"

    done = receipt(studio, "rocket.jpg")

    assert done["complete"]
    assert len(done["removed"]["versions"]) == 2
    assert len(done["removed"]["outputs"]) == 4
    assert set(done["verified_absent"]) == set(done["removed"])
    assert traces(studio, "rocket.jpg") == {"versions": 0, "items": 0, "outputs": 4}
    kept = studio.client("s3").get_object(
        Bucket=studio.outputs["variants_bucket"], Key=done["kept_as"]
    )
    assert json.loads(kept["Body"].read()) == done
    assert studio.pipeline.run("metadata", "show", "rocket.png", "--json").json == neighbour
    assert studio.why("rocket.png")["well"]
    assert receipt(studio, "rocket.jpg")["complete"], "again changes nothing"


def test_dead_and_queued_messages_go_too_and_an_interrupted_run_is_finished(
    erased: Studio,
) -> None:
    studio = erased
    studio.put("text.jpg", b"no image at all")
    studio.pipeline.wait_for("letters", lambda: studio.why("text.jpg")["status"] == "rejected")
    studio.pause("enhance")
    studio.put("text.jpg", b"no image either")
    studio.put("other.jpg", b"another's")
    studio.pipeline.wait_for("both messages", lambda: waiting(studio, "enhance") == 2)
    studio.pipeline.wait_for("all others' work", lambda: idle(studio) and stays_idle(studio))

    begun = receipt(studio, "text.jpg", "--timeout", "0s", code=3)
    assert not begun["complete"]
    assert begun["removed"]["dead_letters"]

    done = receipt(studio, "text.jpg")
    assert done["complete"]
    assert done["removed"]["versions"] == begun["removed"]["versions"]
    assert [it["queue"] for it in done["removed"]["queued_messages"]] == ["enhance"]
    assert studio.pipeline.run("dlq", "list", "--key", "text.jpg", "--json").json == []
    assert studio.pipeline.run("dlq", "list", "--key", "other.jpg", "--json").json
    studio.pause("enhance", enabled=True)
    studio.pipeline.wait_for(
        "the other's end", lambda: studio.why("other.jpg")["status"] == "rejected"
    )
    assert traces(studio, "text.jpg") == {"versions": 0, "items": 0, "outputs": 0}
