"""`imgpipe load` on the embedded cloud: figures, files, and nothing left behind."""

from __future__ import annotations

import json
import time

import pytest

from tests.e2e.pipeline import Pipeline
from tests.photos import DEMO

pytestmark = pytest.mark.e2e


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
