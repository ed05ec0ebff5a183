"""`imgpipe load` on the embedded cloud: figures, files, and nothing left behind."""

from __future__ import annotations

import json
import time

import pytest

from tests.e2e.pipeline import Pipeline
from tests.photos import DEMO

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("studio")]


@pytest.mark.capability("S0-10", "S0-12", "S2-7")
def test_a_burst_is_measured_and_taken_away(studio: Pipeline) -> None:
    saved, plotted = studio.folder / "load.json", studio.folder / "load.png"
    run = studio.run(
        "load",
        DEMO / "rocket.jpg",
        "--images",
        "20",
        "--concurrency",
        "8",
        "--save",
        saved,
        "--plot",
        plotted,
        "--json",
    )
    told = run.json
    assert "will get notices of it" in run.err
    assert told == json.loads(saved.read_text())
    assert plotted.read_bytes().startswith(b"\x89PNG")
    assert (told["ended"], told["lost"], told["extra_outputs"]) == ({"done": 20}, [], 0)
    for way in ("upload", "upload_to_preview", "upload_to_done", "upload_to_notice"):
        p50, p95, p99 = (told["seconds_p"][way][name] for name in ("p50", "p95", "p99"))
        assert 0 < p50 <= p95 <= p99
    assert (
        told["seconds_p"]["upload_to_preview"]["p50"] <= told["seconds_p"]["upload_to_done"]["p50"]
    )
    assert any(queue["depth"] for sample in told["samples"] for queue in sample["queues"].values())
    key = f"load/{told['name']}/000000.jpg"
    deadline = time.monotonic() + 60
    while studio.run("metadata", key, "--json", code=None).json.get("status") != "removed":
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_a_burst_of_what_is_no_image_ends_rejected_and_loses_nothing(studio: Pipeline) -> None:
    words = studio.folder / "words.jpg"
    words.write_text("no picture")
    told = studio.run("load", words, "--images", "3", "--json").json
    assert (told["ended"], told["lost"]) == ({"rejected": 3}, [])


@pytest.mark.slow
@pytest.mark.capability("S1-1")
@pytest.mark.capability("S1-2")
@pytest.mark.capability("S1-15")
def test_joined_by_a_call_uploads_are_lost_with_the_tier_and_by_a_queue_they_are_not(
    studio: Pipeline,
) -> None:
    plotted = studio.folder / "compare.png"
    options = ("--compare", "--images", "4", "--megapixels", "0.2", "--plot", plotted, "--json")
    phases = {
        (each["mode"], each["weather"]): each
        for each in studio.run("load", *options, timeout_s=900).json["phases"]
    }
    assert set(phases) == {
        (mode, weather) for mode in ("coupled", "decoupled") for weather in ("calm", "slow", "down")
    }
    calm, down = phases["coupled", "calm"], phases["coupled", "down"]
    assert (calm["refused"], calm["unprocessed"]) == (0, 0)
    assert (down["refused"], down["unprocessed"]) == (4, 4)
    for weather in ("calm", "slow", "down"):
        queued = phases["decoupled", weather]
        assert (queued["refused"], queued["unprocessed"]) == (0, 0)
    assert plotted.read_bytes().startswith(b"\x89PNG")
    left = studio.run("status", "--json").json["queues"]
    assert not any("compare" in queue["name"] for queue in left)
