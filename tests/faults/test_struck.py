"""Real processes on the embedded cloud meet a fault at a call that a seed chose: run again, all is as it should be.

Twenty faults: five commands in each of four rounds, from `up` to `down`. With IMGPIPE_SOAK=1 there are forty rounds.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from imgpipe.cloud import Cloud, local_target
from tests.e2e.pipeline import Pipeline, without_aws
from tests.faults.account import Snapshot, differences, snapshot
from tests.faults.strikes import KINDS, PASSING, Strike
from tests.photos import ROOT
from tests.pictures import corners, encoded
from tests.studio import s3_event

ROUNDS = 40 if os.environ.get("IMGPIPE_SOAK") else 4
SEEDS = [int(os.environ["IMGPIPE_SEED"])] if "IMGPIPE_SEED" in os.environ else range(ROUNDS)
AGAIN = "IMGPIPE_SEED={} python -m pytest -n 0 tests/faults/test_struck.py"
"""pytest shows the last line of a test that fails: the seed alone decides what is struck."""
COMMANDS: dict[str, tuple[str, ...]] = {
    "up": ("up", "--yes"),
    "upload": ("upload", "album", "--wait"),
    "reprocess": ("reprocess", "album", "--yes"),
    "redrive": ("dlq", "redrive", "--yes"),
    "down": ("down", "--yes", "--delete-data"),
}


@dataclass
class Struck:
    """A project on an embedded cloud, and the calls that each command makes when nothing disturbs it."""

    pipeline: Pipeline
    calls: dict[str, list[str]] = field(default_factory=dict)

    def run(self, name: str, strike: Strike | None = None) -> int:
        """Run a command in a process of its own; return its exit code."""
        log = self.pipeline.folder / "calls.log"
        kind, call = (strike.kind, str(strike.call)) if strike else ("-", "-")
        done = subprocess.run(
            [sys.executable, "-m", "tests.faults.struck", kind, call, log, "--", *COMMANDS[name]],
            cwd=self.pipeline.folder,
            env={**without_aws(os.environ), "PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert "Traceback" not in done.stderr, f"{strike}\n{done.stderr}"
        if strike is None:
            assert done.returncode == 0, f"{name}: {done.stdout}\n{done.stderr}"
            self.calls.setdefault(name, log.read_text().splitlines())
        return done.returncode

    @property
    def cloud(self) -> Cloud:
        return Cloud(local_target(self.pipeline.folder))

    def fail_one(self) -> None:
        """Put a dead letter there, of the function that the bucket calls."""
        sqs, event = self.cloud.client("sqs"), s3_event("incoming/album/0.jpg")
        buckets = [it["Name"] for it in self.cloud.client("s3").list_buckets()["Buckets"]]
        (event["Records"][0]["s3"]["bucket"]["name"],) = (it for it in buckets if "uploads" in it)
        letter = {"requestContext": {"condition": "RetriesExhausted"}, "requestPayload": event}
        (url,) = [it for it in sqs.list_queues()["QueueUrls"] if it.endswith("describe-dlq")]
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps(letter))


@pytest.fixture
def struck(tmp_path: Path) -> Iterator[Struck]:
    pipeline = Pipeline.from_template("point-to-point", tmp_path)
    (tmp_path / "album").mkdir()
    for number in range(3):
        (tmp_path / "album" / f"{number}.jpg").write_bytes(encoded(corners(64 + number, 48)))
    try:
        pipeline.run("local", "start")
        yield Struck(pipeline)
    finally:
        pipeline.run("local", "stop", code=None)


@pytest.mark.slow
@pytest.mark.fault("F-1", "F-2", "F-3", "F-5", "F-11", "F-12", "F-18", "F-34")
def test_twenty_faults_at_calls_that_a_seed_chose(struck: Struck) -> None:
    client = struck.cloud.client
    wanted: Snapshot = {}
    for name in COMMANDS:
        if name == "redrive":
            struck.fail_one()
        struck.run(name)
        if name == "up":
            wanted = snapshot(client)
    assert snapshot(client) == {}

    for seed in SEEDS:
        chance = random.Random(seed)
        for name in COMMANDS:
            if name == "redrive":
                struck.fail_one()
            strike = Strike(chance.choice(KINDS), chance.choice(sorted(struck.calls[name])))
            print(f"{name}: {strike}; to see it again: {AGAIN.format(seed)}")
            code = struck.run(name, strike)
            assert code == 0 or strike.kind not in PASSING, f"{name}: {strike}"
            struck.run(name)
            check(struck, name, strike, wanted)


def check(struck: Struck, name: str, strike: Strike, wanted: Snapshot) -> None:
    """See that all is as a quiet run leaves it."""
    there = snapshot(struck.cloud.client)
    match name:
        case "up":
            assert differences(wanted, there) == [], strike
        case "redrive":
            assert struck.pipeline.run("audit", "--json", "--grace", "0s").code == 0, strike
        case "down":
            assert there == {}, strike
