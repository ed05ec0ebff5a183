"""Branches side by side, and what happens to one when another hangs, is throttled, or has no table to write to.

The functions are real processes of the embedded cloud: they wait for files that the test makes, and are really stopped.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.e2e.pipeline import Pipeline
from tests.photos import DEMO

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

BRANCHES = """\
version: 1
name: branches
steps:
  quick:  {via: function, variants: {quick: {width: 60}}}
  first:  {via: queue, variants: {first: {width: 80}}}
  second: {via: queue, variants: {second: {width: 100}}}
lambda: {timeout: 60s, backoff: 1s, retries: 2}
"""
LANES = """\
version: 1
name: lanes
uploads: {limits: {pixels: 5MP}}
steps:
  resize: {via: queue, variants: {small: {width: 60}}, lane: {over: 1MP, memory: 3008}}
lambda: {timeout: 60s}
"""
NARROW = """\
version: 1
name: narrow
uploads: {deliver: queue}
steps:
  resize: {via: queue, variants: {small: {width: 60}}, lambda: {reserved: 1, batch: 1}}
lambda: {timeout: 20s, backoff: 1s, visibility: 2m}
"""
DIRECT = """\
version: 1
name: direct
uploads: {deliver: function}
steps:
  describe: {via: function, exif: true, palette: 3}
lambda: {timeout: 30s}
"""
HANDLER = """\
import os, time
from pathlib import Path
from imgpipe.runtime import image, steps

HOME = Path(%r)
STEP = os.environ["AWS_LAMBDA_FUNCTION_NAME"].split("-local-")[1]

def handler(event, context):
    (HOME / f"pid-{STEP}").write_text(str(os.getpid()))
    with (HOME / f"calls-{STEP}").open("a") as calls:
        calls.write(".")
    while (HOME / f"hold-{STEP}").exists():
        time.sleep(0.05)
    if (HOME / f"refuse-{STEP}").exists():
        raise ConnectionError("what is behind this takes no more for now")
    return dict(steps.run(event, context, image.make))
"""
PHOTO = DEMO / "rocket.jpg"
DEADLINE_S = 150
AT_ONCE = {"IMGPIPE_LAMBDA_CONCURRENCY": "8"}
"""More than the cores: most functions here only wait."""


def project(folder: Path, text: str) -> Iterator[Pipeline]:
    (folder / "pipeline.yaml").write_text(text)
    source = folder / "lambdas" / "images"
    source.mkdir(parents=True)
    (source / "handler.py").write_text(HANDLER % str(folder))
    (source / "requirements.txt").write_text("pillow\n")
    pipeline = Pipeline(folder, AT_ONCE)
    try:
        pipeline.run("up", "--yes")
        yield pipeline
    finally:
        for hold in folder.glob("hold-*"):
            hold.unlink()
        pipeline.run("local", "stop", code=None)


@pytest.fixture
def branches(tmp_path: Path) -> Iterator[Pipeline]:
    for pipeline in project(tmp_path, BRANCHES):
        _past_the_test_event(pipeline, "quick", "first", "second")
        yield pipeline


def _past_the_test_event(pipeline: Pipeline, *steps: str) -> None:
    """Wait until every step has had the event that S3 sends when it is told where to; forget that it came."""
    pipeline.wait_for("S3's test event", lambda: all(_calls(pipeline, step) for step in steps))
    pipeline.wait_for(
        "empty queues",
        lambda: not any(_held(pipeline, step) for step in steps if step in queues(pipeline)),
    )
    for step in steps:
        (pipeline.folder / f"pid-{step}").unlink()


@pytest.fixture
def lanes(tmp_path: Path) -> Iterator[Pipeline]:
    yield from project(tmp_path, LANES)


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[Pipeline]:
    yield from project(tmp_path, NARROW)


@pytest.fixture
def direct(tmp_path: Path) -> Iterator[Pipeline]:
    yield from project(tmp_path, DIRECT)


def hold(pipeline: Pipeline, *steps: str) -> None:
    for step in steps:
        (pipeline.folder / f"hold-{step}").touch()


def let_go(pipeline: Pipeline, *steps: str) -> None:
    for step in steps:
        (pipeline.folder / f"hold-{step}").unlink()


def pid(pipeline: Pipeline, step: str) -> int:
    written = pipeline.folder / f"pid-{step}"
    return int(written.read_text() or 0) if written.exists() else 0


def statuses(pipeline: Pipeline, key: str) -> dict[str, str]:
    """Return how far each step of an image is, as `imgpipe metadata` tells it."""
    told = pipeline.run("metadata", "show", key, "--json", code=None)
    steps = told.json["steps"] if told.code == 0 else {}
    return {name: step["status"] for name, step in steps.items()}


def ended(pipeline: Pipeline, key: str, *steps: str) -> bool:
    found = statuses(pipeline, key)
    return all(found.get(step) == "done" for step in steps)


def queues(pipeline: Pipeline) -> dict[str, dict[str, Any]]:
    told = pipeline.run("status", "--json", code=None).json  # exit 3 where something is missing
    return {it["name"]: it for it in told["queues"]}


def letters(pipeline: Pipeline) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pipeline.run("dlq", "list", "--json").json
    return found


@pytest.mark.capability("S0-7")
def test_all_subscribers_are_at_work_on_one_upload_at_once(branches: Pipeline) -> None:
    """None is let go before the last has begun: one after another they would never end."""
    steps = ("quick", "first", "second")
    hold(branches, *steps)
    branches.run("upload", PHOTO)
    branches.wait_for("all at work", lambda: all(pid(branches, step) for step in steps), DEADLINE_S)
    now = branches.run("watch", "--count", "1", "--json").json["queues"]
    assert (now["first"]["in_flight"], now["second"]["in_flight"]) == (1, 1)
    assert len({pid(branches, step) for step in steps}) == 3
    assert statuses(branches, "rocket.jpg") == {}
    let_go(branches, *steps)
    branches.wait_for("all done", lambda: ended(branches, "rocket.jpg", *steps), DEADLINE_S)


@pytest.mark.capability("S0-8", "S2-12")
def test_a_branch_whose_process_is_stopped_delays_no_other(branches: Pipeline) -> None:
    hold(branches, "first")
    branches.run("upload", PHOTO)
    branches.wait_for("first at work", lambda: pid(branches, "first"), DEADLINE_S)
    os.kill(pid(branches, "first"), signal.SIGSTOP)
    branches.wait_for(
        "the others done", lambda: ended(branches, "rocket.jpg", "quick", "second"), DEADLINE_S
    )
    told = branches.run("status", "--json").json
    assert {it["name"]: it["in_flight"] for it in told["queues"]}["first"] == 1
    assert "first" not in statuses(branches, "rocket.jpg")
    let_go(branches, "first")
    os.kill(pid(branches, "first"), signal.SIGCONT)
    branches.wait_for("the end", lambda: ended(branches, "rocket.jpg", "first"), DEADLINE_S)
    branches.wait_for("an empty queue", lambda: _held(branches, "first") == 0)


def _held(pipeline: Pipeline, queue: str) -> int:
    found = queues(pipeline)[queue]
    return int(found["visible"] + found["in_flight"] + found["delayed"])


@pytest.mark.capability("S4-7", "S4-8")
def test_while_the_table_is_gone_pictures_are_made_and_results_wait(branches: Pipeline) -> None:
    outputs = branches.run("outputs", "--json").json
    table, tables = outputs["table"], branches.client("dynamodb")
    tables.update_table(TableName=table, DeletionProtectionEnabled=False)
    tables.delete_table(TableName=table)
    photos = [PHOTO, DEMO / "chelsea.png"]
    branches.run("upload", *photos)
    made = branches.wait_for("six pictures", lambda: _stored(branches, outputs, 6), DEADLINE_S)
    assert {key.partition("/")[0] for key in made} == {"quick", "first", "second"}
    waiting = branches.wait_for("waiting results", lambda: _results(branches), DEADLINE_S)
    assert waiting == 6  # one of each step and photograph, in the queue or among its dead letters

    branches.run("up", "--yes")
    branches.run("dlq", "redrive", "--yes", "--force")
    for photo in photos:
        branches.wait_for(
            f"the row of {photo.name}",
            lambda name=photo.name: ended(branches, name, "quick", "first", "second"),  # type: ignore[misc]
            DEADLINE_S,
        )
    assert letters(branches) == []


def _stored(pipeline: Pipeline, outputs: dict[str, str], count: int) -> list[str]:
    listed = pipeline.client("s3").list_objects_v2(Bucket=outputs["variants_bucket"])
    keys = [it["Key"] for it in listed.get("Contents", []) if not it["Key"].startswith("ops/")]
    return keys if len(keys) == count else []


def _results(pipeline: Pipeline) -> int:
    """Return how many results wait, once it is all six."""
    found = queues(pipeline)
    places = [found["results"], found["results-dlq"]]
    total = sum(int(it["visible"] + it["in_flight"] + it["delayed"]) for it in places)
    return total if total == 6 else 0


@pytest.mark.capability("X4")
def test_every_kind_of_dead_letter_goes_back_to_the_branch_that_failed(branches: Pipeline) -> None:
    """What SQS gave up, what Lambda gave up, and what SNS could not deliver: each to its own branch, once."""
    steps = ("quick", "first", "second")
    for step in ("quick", "first"):
        (branches.folder / f"refuse-{step}").touch()
    url = branches.run("outputs", "second_queue_url", "--raw").out.strip()
    branches.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
    branches.run("upload", PHOTO)
    found = branches.wait_for("three letters", lambda: _three(branches), LETTERS_S)
    assert {it["step"] for it in found} == set(steps)
    assert {it["key"] for it in found} == {"incoming/rocket.jpg"}

    for step in ("quick", "first"):
        (branches.folder / f"refuse-{step}").unlink()
    branches.run("up", "--yes")
    before = {step: _calls(branches, step) for step in steps}
    branches.run("dlq", "redrive", "--yes", "--force")
    for step in before:
        branches.wait_for(step, lambda name=step: ended(branches, "rocket.jpg", name), DEADLINE_S)  # type: ignore[misc]
    assert {step: _calls(branches, step) - before[step] for step in before} == {
        "quick": 1,
        "first": 1,
        "second": 1,
    }
    assert letters(branches) == []


LETTERS_S = 240
"""Lambda waits a minute before its second attempt, and two before its third."""


def _three(pipeline: Pipeline) -> list[dict[str, Any]]:
    found = letters(pipeline)
    return found if len(found) == 3 else []


def _calls(pipeline: Pipeline, step: str) -> int:
    written = pipeline.folder / f"calls-{step}"
    return len(written.read_text()) if written.exists() else 0


@pytest.mark.capability("S3-9", "X15")
def test_images_take_the_lane_of_their_size_or_are_refused_with_a_reason(lanes: Pipeline) -> None:
    medium = lanes.folder / "medium.jpg"
    Image.new("RGB", (2000, 1000), "teal").save(
        medium
    )  # 2 MP; the lane begins at 1, the limit is 5
    large = DEMO / "picos.jpg"
    lanes.run("upload", PHOTO, medium, large, "--wait", code=None)
    assert ended(lanes, "rocket.jpg", "resize")
    assert ended(lanes, "medium.jpg", "resize")
    assert _calls(lanes, "resize-large") == 2  # medium, and the one that even it refuses
    refused = lanes.run("metadata", "show", "picos.jpg", "--json", code=None).json
    assert refused["status"] == "rejected"
    [why] = {it["reason"] for it in letters(lanes)}
    assert "MP" in why or "pixels" in why
    text = (lanes.folder / "pipeline.yaml").read_text().replace("memory: 3008", "memory: 4096")
    (lanes.folder / "pipeline.yaml").write_text(text)
    [change] = [it for it in lanes.run("plan", "--json").json["actions"] if it["verb"] == "update"]
    assert change["name"].endswith("resize-large")
    assert "memory_mb 3008 -> 4096" in change["reason"]


@pytest.mark.capability("S2-7", "S3-8")
def test_a_burst_outlives_a_throttled_function_and_no_healthy_message_dies(
    narrow: Pipeline,
) -> None:
    """Somebody takes all concurrency away, as an account at its limit does; `up` gives it back, one at a time."""
    function = narrow.run("outputs", "resize_function", "--raw").out.strip()
    lambdas = narrow.client("lambda")
    lambdas.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)
    photos = narrow.folder / "album"
    photos.mkdir()
    for number in range(10):
        (photos / f"{number}.jpg").write_bytes(PHOTO.read_bytes())
    narrow.run("upload", photos)
    with pytest.raises(lambdas.exceptions.TooManyRequestsException):
        lambdas.invoke(FunctionName=function)
    narrow.wait_for("a burst that waits", lambda: _waited_s(narrow, "resize") > BURST_WAITS_S)
    assert _held(narrow, "resize") == 10
    assert (_done(narrow), letters(narrow)) == (0, [])

    narrow.run("up", "--yes")
    narrow.wait_for("ten images", lambda: _done(narrow) == 10, DEADLINE_S)
    assert letters(narrow) == []
    rows = narrow.run("metadata", "list", "--json").json
    assert {row["steps"]["resize"]["attempts"] for row in rows} == {1}


BURST_WAITS_S = 10
"""Time enough for every message to be tried and refused; each refusal comes back after a second."""


def _waited_s(pipeline: Pipeline, queue: str) -> float:
    return float(queues(pipeline)[queue]["oldest_s"] or 0)


def _done(pipeline: Pipeline) -> int:
    rows = pipeline.run("metadata", "list", "--json").json
    return sum(row["status"] == "done" for row in rows)


@pytest.mark.capability("S2-6")
def test_what_direct_invocation_loses_under_a_burst_is_counted_and_with_us_it_is_kept(
    direct: Pipeline,
) -> None:
    """The bare pattern has no place for what fails: `load` names each as lost. With the pipeline's own it waits."""
    function = direct.run("outputs", "describe_function", "--raw").out.strip()
    lambdas, refuse = direct.client("lambda"), direct.folder / "refuse-describe"
    refuse.touch()
    burst = ("load", PHOTO, "--images", "6", "--timeout", "5s", "--keep", "--json")

    lambdas.put_function_event_invoke_config(
        FunctionName=function, MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {}}
    )
    bare = direct.run(*burst, code=None).json
    direct.wait_for("six refusals", lambda: _calls(direct, "describe") >= 6, DEADLINE_S)
    assert (len(bare["lost"]), bare["ended"]) == (6, {})
    assert letters(direct) == []

    direct.run("up", "--yes")  # puts the destination back, which somebody took away
    kept = lambdas.get_function_event_invoke_config(FunctionName=function)["DestinationConfig"]
    lambdas.put_function_event_invoke_config(
        FunctionName=function, MaximumRetryAttempts=0, DestinationConfig=kept
    )
    ours = direct.run(*burst, code=None).json
    assert ours["ended"].keys() <= {"failed"}
    direct.wait_for("six letters", lambda: len(letters(direct)) == 6, DEADLINE_S)
    refuse.unlink()
    direct.run("dlq", "redrive", "--yes")
    direct.wait_for("six images", lambda: _done(direct) == 6, DEADLINE_S)
