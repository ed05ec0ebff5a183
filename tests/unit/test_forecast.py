"""Cost and simulation: their counts follow the code, their sums are right, and the same seed gives the same outcome."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from imgpipe.cli.main import build_app
from imgpipe.deploy import plan
from imgpipe.operate.forecast import (
    ceilings,
    change,
    cost,
    figures,
    levers,
    simulation,
    topology,
    work,
)
from imgpipe.operate.forecast.scenario import Outage, Scenario
from imgpipe.operate.forecast.topology import Topology, Worker
from imgpipe.operate.percentiles import percentiles
from imgpipe.operate.project import offline
from imgpipe.runtime import expected, notifier, steps, writer
from imgpipe.runtime.image.making import make
from tests.fakes import FakeContext, FakeStore, s3_event
from tests.photos import DEMO

PIPELINE = Path(__file__).parents[2] / "pipeline.yaml"
TIMINGS = figures.timings()
PHOTO = work.photograph(5_000_000, TIMINGS)


@pytest.fixture(scope="module")
def studio() -> Topology:
    return topology.of(offline(PIPELINE, "local").resources.values())


def queued(messages: list[Any]) -> dict[str, Any]:
    """Return the event that brings `messages` from a queue."""
    return {
        "Records": [
            {
                "eventSource": "aws:sqs",
                "messageId": str(number),
                "receiptHandle": str(number),
                "body": message if isinstance(message, str) else json.dumps(message),
                "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1767225600000"},
            }
            for number, message in enumerate(messages)
        ]
    }


def run(worker: Worker, store: FakeStore, event: dict[str, Any]) -> Counter[str]:
    """Run a function's own code and return the calls that it made, without what each was about."""
    before = len(store.calls)
    how: dict[str, Any] = {"store": store, "settings": worker.settings}
    if worker.role == "images":
        answer = steps.run(event, FakeContext(), make, **how)
    else:
        module = writer if worker.role == "writer" else notifier
        answer = module.run(event, FakeContext(), **how)
    assert not answer["batchItemFailures"]
    return Counter(call.partition(":")[0] for call in store.calls[before:])


def test_what_an_image_asks_for_is_what_the_code_asks_for(studio: Topology) -> None:
    store = FakeStore()
    asked = {load.worker.name: load for load in work.loads(studio, PHOTO, TIMINGS)}
    bucket = studio.images[0].settings.uploads_bucket
    data = (DEMO / "coffee.png").read_bytes()
    event = s3_event(store.upload(bucket, "incoming/a.png", data))
    assert studio.writer is not None
    expected.lists(store, studio.writer.settings)  # once in a deployment's life it is written, too
    for worker in studio.images:
        calls, load = run(worker, store, queued([event])), asked[worker.name]
        assert calls == Counter(open=load.gets, put=load.puts, send=load.sends)
        results = [message.body for message in store.queues.pop(worker.settings.results_queue_url)]
        wrote = run(studio.writer, store, queued(results))
        told = asked["writer"]
        assert (
            wrote["get_item"] == told.table_reads + 1
        )  # what is expected is read once in a writer's life
        assert wrote["put_item"] == told.table_writes
    published = [json.loads(each.message) for each in store.published]
    assert len(published) == pytest.approx(asked["writer"].publishes * asked["writer"].messages)
    assert studio.notifier is not None
    for notice in (event, *published):
        calls, load = run(studio.notifier, store, queued([notice])), asked["notifier"]
        assert (calls["publish"], calls["put_item"]) == (load.publishes, load.table_writes)
    assert asked["notifier"].messages == 1 + len(published)
    row = store.items[studio.writer.settings.table, "incoming/a.png", "image"]
    assert len(json.dumps(row)) / 2 < work.row_bytes(studio) < 2 * len(json.dumps(row))


def test_a_bill_adds_up_and_grows_with_its_images(studio: Topology) -> None:
    bill = cost.of(studio, PHOTO)
    assert bill.per_million == pytest.approx(1e6 * sum(p.count * p.price for p in bill.per_image))
    assert bill.month(0) == bill.fixed_month > 0
    assert bill.month(2_000_000) - bill.month(1_000_000) == pytest.approx(
        bill.per_million + bill.storage_month_per_million
    )
    assert cost.of(studio, work.photograph(20_000_000, TIMINGS)).per_million > bill.per_million
    assert cost.of(studio, PHOTO, fill=10).per_million < bill.per_million


def test_known_prices_give_a_known_sum(studio: Topology) -> None:
    """Worked out by hand: each variant is one PUT at 5 dollars a million, each e-mail 20 dollars a million."""
    parts = {part.name: part for part in cost.of(studio, PHOTO).per_image}
    assert 1e6 * parts["S3: storing variants"].dollars == pytest.approx(4 * 5.00)
    assert 1e6 * parts["SNS: e-mails"].dollars == pytest.approx(2 * 20.00)
    assert 1e6 * parts["S3: reading the upload"].dollars == pytest.approx(3 * 0.40)


def test_a_lever_is_the_difference_between_two_bills(studio: Topology) -> None:
    found = {lever.change: lever.dollars for lever in levers.of(studio, PHOTO)}
    smaller = dataclasses.replace(
        studio, images=tuple(dataclasses.replace(each, memory_mb=1024) for each in studio.images)
    )
    difference = cost.of(smaller, PHOTO).per_million - cost.of(studio, PHOTO).per_million
    assert found["lambda: {memory: 1024}"] == pytest.approx(difference)
    assert found["no `uploaded` notices"] < 0
    assert list(found.values()) == sorted(found.values(), key=abs, reverse=True)


def test_a_plan_says_what_it_does_to_the_bill(tmp_path: Path) -> None:
    wanted = offline(PIPELINE, "local").resources
    fresh = change.of(plan.plan(wanted, {}))
    assert fresh is not None
    assert fresh.per_million[0] == fresh.fixed_month[0] == 0
    assert fresh.per_million[1] == pytest.approx(
        cost.of(topology.of(wanted.values()), PHOTO).per_million
    )
    assert change.of(plan.plan(wanted, wanted)) is None
    edited = tmp_path / "pipeline.yaml"
    edited.write_text(PIPELINE.read_text().replace("memory: 1769", "memory: 3538"))
    dearer = change.of(plan.plan(offline(edited, "local").resources, wanted))
    assert dearer is not None
    assert dearer.per_million[0] == fresh.per_million[1] < dearer.per_million[1]
    assert dearer.fixed_month[0] == dearer.fixed_month[1]


def test_the_same_seed_gives_the_same_outcome(studio: Topology) -> None:
    busy = Scenario(rate=15, duration_s=30, burst=50, seed=7, failures=0.05, duplicates=0.02)
    first, second = (simulation.run(studio, PHOTO, TIMINGS, busy) for _ in range(2))
    other = simulation.run(studio, PHOTO, TIMINGS, dataclasses.replace(busy, seed=8))
    assert first == second
    assert first != other


@pytest.mark.parametrize("seed", range(5))
def test_every_simulated_image_is_done_or_dead(studio: Topology, seed: int) -> None:
    rough = Scenario(
        rate=10, duration_s=20, seed=seed, failures=0.3, duplicates=0.1, concurrency=20
    )
    outcome = simulation.run(studio, PHOTO, TIMINGS, rough)
    dead = sum(outcome.dead_letters.values())
    assert outcome.images - dead <= outcome.done <= outcome.images
    assert len(outcome.to_done_s) == outcome.done
    assert outcome.peak_concurrency <= 20
    assert outcome.retries > 0
    assert all(
        late >= early > 0
        for early, late in zip(outcome.sampled_s[1:], outcome.sampled_s[2:], strict=False)
    )


def test_an_outage_of_the_writer_only_makes_results_wait(studio: Topology) -> None:
    quiet = Scenario(rate=10, duration_s=60, duplicates=0)
    out = dataclasses.replace(quiet, outage=Outage("writer", 10, 20))
    calm, broken = (simulation.run(studio, PHOTO, TIMINGS, each) for each in (quiet, out))
    assert calm.done == broken.done == calm.images
    assert max(broken.depths["writer"]) > 10 * max(1, *calm.depths["writer"])
    assert broken.depths["images"][-1] == 0
    medians = [percentiles(each.to_preview_s)["p50"] for each in (calm, broken)]
    assert medians[0] == pytest.approx(medians[1], rel=0.2)


def test_less_concurrency_takes_longer(studio: Topology) -> None:
    crowd = Scenario(rate=0, duration_s=10, burst=400)
    wide = simulation.run(studio, PHOTO, TIMINGS, crowd)
    narrow = simulation.run(studio, PHOTO, TIMINGS, dataclasses.replace(crowd, concurrency=4))
    assert narrow.ended_s > 2 * wide.ended_s
    assert narrow.throttled > 0


def test_limits_are_told_the_first_one_first(studio: Topology) -> None:
    limits = ceilings.of(studio, PHOTO, TIMINGS)
    assert limits == sorted(limits, key=lambda limit: limit.images_per_s)
    assert "e-mail" in limits[0].limit
    assert limits[0].images_per_s == 5  # ten e-mails a second, two for each image
    assert ceilings.hit(limits, 4) == []
    assert ceilings.hit(limits, 100_000) == limits
    silent = dataclasses.replace(studio, people={})
    assert "DynamoDB" in ceilings.of(silent, PHOTO, TIMINGS)[0].limit


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["cost", "--prices", "nope.yaml"], "nope.yaml"),
        (["simulate", "--rate", "0"], "no uploads come"),
        (["simulate", "--outage", "writer"], "FUNCTION@START+LENGTH"),
        (["simulate", "--outage", "nobody@1s+1s"], "writer"),
        (["simulate", "--for", "soon"], "90s"),
    ],
)
def test_bad_questions_are_refused(arguments: list[str], told: str) -> None:
    result = CliRunner().invoke(build_app(), [*arguments, "--file", str(PIPELINE)])
    assert result.exit_code != 0
    assert told in str(result.exception)


def test_both_commands_print_json_and_a_picture(tmp_path: Path) -> None:
    picture = tmp_path / "run.png"
    common = ["--file", str(PIPELINE), "--json"]
    bill = CliRunner().invoke(build_app(), ["cost", "--images", "1000", *common])
    parts = json.loads(bill.stdout)["parts"]
    assert {"name", "count", "unit", "price", "dollars", "monthly"} == set(parts[0])
    asked = ["simulate", "--rate", "5", "--for", "10s", "--plot", str(picture), *common]
    told = json.loads(CliRunner().invoke(build_app(), asked).stdout)
    assert told["outcome"]["done"] == told["outcome"]["images"] > 20
    assert picture.read_bytes().startswith(b"\x89PNG")
    huge = CliRunner().invoke(build_app(), ["simulate", "--rate", "100000", *common])
    assert json.loads(huge.stdout)["outcome"] is None
    assert json.loads(huge.stdout)["first_limit"]["images_per_s"] < 100_000


@pytest.mark.capability("X11")
def test_a_simulation_is_told_with_its_faults_its_depths_and_its_cost() -> None:
    asked = [
        "simulate",
        "--rate",
        "10",
        "--for",
        "30s",
        "--seed",
        "3",
        "--duplicates",
        "0.1",
        "--failures",
        "0.1",
    ]
    asked += ["--outage", "writer@5s+10s", "--concurrency", "30", "--file", str(PIPELINE), "--json"]
    first, second = (CliRunner().invoke(build_app(), asked).stdout for _ in range(2))
    told = json.loads(first)["outcome"]
    assert first == second
    assert told["retries"] > 0
    assert told["duplicates"] > 0
    assert max(told["depths"]["writer"]) > 50
    assert told["to_done_s"]["p50"] <= told["to_done_s"]["p95"] <= told["to_done_s"]["p99"]
    assert told["peak_concurrency"] <= 30
    assert told["lambda_dollars"] > 0
    assert told["done"] + sum(told["dead_letters"].values()) >= told["images"]


def test_a_burst_that_was_measured_is_predicted_and_the_error_told(tmp_path: Path) -> None:
    saved = tmp_path / "run.json"
    measured = {"p50": 0.2, "p95": 0.4, "p99": 0.5}
    told = {
        "kind": "load",
        "environment": "local",
        "images": 60,
        "megabytes": 30.0,
        "megapixels": 2.0,
        "uploading_s": 30.0,
        "images_per_s": 2.0,
        "seconds_p": {"upload_to_preview": measured, "upload_to_done": measured},
    }
    saved.write_text(json.dumps(told))
    asked = ["simulate", "--against", str(saved), "--cores", "2", "--file", str(PIPELINE), "--json"]
    found = json.loads(CliRunner().invoke(build_app(), asked).stdout)
    assert found["scenario"]["cores"] == 2
    assert found["image"]["bytes"] == 500_000
    assert found["image"]["width"] * found["image"]["height"] == pytest.approx(2e6, rel=0.01)
    figures_ = {each["name"]: each for each in found["figures"]}
    assert len(figures_) == 7
    for each in figures_.values():
        assert each["error"] == pytest.approx(
            (each["predicted"] - each["measured"]) / each["measured"]
        )
    assert figures_["images a second"]["predicted"] == pytest.approx(2.0, rel=0.3)
    saved.write_text("{}")
    refused = CliRunner().invoke(build_app(), asked)
    assert "isn't the figures of a burst" in str(refused.exception)
