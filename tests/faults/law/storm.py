"""A seeded schedule of faults over a real pipeline, and the law afterwards.

    python -m tests.faults.law.storm 17 18        replays seeds; --log FOLDER keeps what was logged

A seed decides what is uploaded, overwritten and removed, which faults come, in which order and how hard. When
processes really meet is not the seed's to decide, so a seed replays the schedule and not each interleaving: the
simulation does that.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imgpipe.errors import ImgpipeError
from tests.faults.law.check import Breach, breaches, sizes, statuses
from tests.faults.law.harness import Studio, kill, pictures, weather

MOMENTS, KEYS, AT_ONCE = 22, 20, 6
ONCE, AGAIN = 8, 4
MOMENT_S = (0.05, 0.6)
TMPFS = "256m"
SERVICES = ("s3", "sqs", "dynamodb", "sns")
LIFETIME = (2, 7)
"""Moments that a lasting fault stays."""


@dataclass
class Weather:
    """The faults of one storm, and how they are done. Each returns how to end it, if it lasts."""

    studio: Studio
    dice: random.Random
    seed: int
    counts: Counter[str] = field(default_factory=Counter)
    rules: list[dict[str, Any]] = field(default_factory=list)

    def count(self, name: str) -> None:
        self.counts[name] += 1
        self.studio.say(f"FAULT {name}")

    # At once

    def kill_function(self) -> None:
        """Kill -9 of a function's process, or of the child that decodes for it."""
        if pids := self.studio.functions():
            self.count("kill -9: a function's process")
            kill(self.dice.choice(pids))

    def kill_worker(self) -> None:
        self.count("kill -9: a worker")
        self.studio.kill_worker()
        self.studio.start_worker()

    def kill_cloud(self) -> None:
        self.count("kill -9: the embedded cloud")
        self.studio.kill_cloud()
        self.studio.start()

    def repeat(self) -> None:
        """Events that came are sent again: twice, late, in another order."""
        with _passing():
            self.studio.listen()
        heard = [(topic, each) for topic in ("uploaded", "removed") for each in self._heard(topic)]
        for topic, told in self.dice.sample(heard, min(len(heard), 4)):
            with _passing():
                self.studio.client("sns").publish(
                    TopicArn=self.studio.topic(topic), Message=told["Message"]
                )
                self.count("an event again, late")

    def _heard(self, topic: str) -> list[dict[str, Any]]:
        return [each for each in self.studio.taps[topic] if "Message" in each]

    def purge(self) -> None:
        short = self.dice.choice(["images", "tint"])
        with _passing():
            graph = self.studio.project.graph
            url = graph.place.queue_url(graph.queues[short])
            self.studio.client("sqs").purge_queue(QueueUrl=url)
            self.count("a queue purged")

    def edit(self) -> None:
        self.count("settings changed in flight")
        shape = "wider" if self.studio.shape == "plain" else "plain"
        self.studio.shapes.add(shape)
        with contextlib.suppress(OSError):  # the disk may be full
            self.studio.write(shape)
            self.studio.run("up", "--yes")

    # For a while

    def errors(self, kind: str) -> Callable[[], None]:
        """Some of the calls of a service, or of all, fail in one way."""
        service = self.dice.choice([*SERVICES, "*"])
        return self._rule(f"calls fail: {kind}", service, kind, self.dice.choice([0.1, 0.3]))

    def down(self, service: str) -> Callable[[], None]:
        return self._rule(f"{service} down", service, "503", 1.0)

    def gone(self, service: str) -> Callable[[], None]:
        what = {"s3": "buckets", "dynamodb": "the table", "sns": "topics"}[service]
        return self._rule(f"{what} gone and back", service, "gone", 1.0)

    def _rule(self, name: str, service: str, kind: str, likely: float) -> Callable[[], None]:
        self.count(name)
        rule = {"service": service, "do": kind, "p": likely}
        self.rules.append(rule)
        self._blow()

        def calm() -> None:
            self.rules.remove(rule)
            self._blow()

        return calm

    def _blow(self) -> None:
        weather(self.studio, self.dice.randrange(1 << 30), self.rules)

    def topic_deleted(self) -> Callable[[], None]:
        """The topic of uploads is really deleted; `up` puts it back."""
        with _passing():
            self.studio.client("sns").delete_topic(TopicArn=self.studio.topic("uploaded"))
            self.count("a topic deleted")
        return lambda: _nothing(self.studio.run("up", "--yes"))

    def clock(self) -> Callable[[], None]:
        self.count("clock skewed by an hour")
        file = self.studio.beside / "clock"
        file.write_text(str(self.dice.choice([-3600, 3600])))
        return lambda: file.unlink(missing_ok=True)

    def disk_full(self) -> Callable[[], None] | None:
        """Where the project is on a small file system of its own, which takes root to make."""
        if not (self.studio.beside / "small").exists():
            return None
        self.count("disk full")
        ballast = self.studio.folder / "ballast"
        with ballast.open("wb", buffering=0) as some:
            for size in (1_000_000, 4096):
                with contextlib.suppress(OSError):
                    while True:
                        some.write(b"\0" * size)
        return lambda: ballast.unlink(missing_ok=True)


KINDS_OF: dict[str, tuple[str, ...]] = {
    "errors": ("500", "503", "throttle", "cut", "lost", "slow"),
    "down": SERVICES,
    "gone": ("s3", "dynamodb", "sns"),
}
"""What there is to choose from of a fault that comes in kinds."""
FAULTS: tuple[tuple[str, int], ...] = (
    ("kill_function", 4),
    ("kill_worker", 2),
    ("kill_cloud", 2),
    ("repeat", 3),
    ("purge", 1),
    ("edit", 1),
    ("errors", 4),
    ("down", 2),
    ("gone", 2),
    ("topic_deleted", 1),
    ("clock", 1),
    ("disk_full", 1),
)


def _nothing(_: object) -> None:
    """What a fault's end returns."""


@contextlib.contextmanager
def _passing() -> Iterator[None]:
    """What the harness itself asks in bad weather may fail."""
    from botocore.exceptions import BotoCoreError, ClientError

    with contextlib.suppress(ClientError, BotoCoreError, ImgpipeError, OSError):
        yield


@dataclass
class Outcome:
    """What a storm came to."""

    seed: int
    broken: list[Breach]
    faults: Counter[str]
    statuses: Counter[str]
    sizes: Counter[str]
    seconds: float

    def as_json(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "broken": [str(each) for each in self.broken],
            "faults": dict(self.faults),
            "statuses": dict(self.statuses),
            "sizes": dict(self.sizes),
            "seconds": round(self.seconds, 1),
        }


def schedule(seed: int) -> dict[int, tuple[str, ...]]:
    """Return which fault comes at which moment, and of which kind where it has kinds: most faults once, and some of the
    usual ones again.
    """
    dice = random.Random(seed)
    names = dice.sample([name for name, _ in FAULTS], ONCE)
    names += dice.choices([name for name, _ in FAULTS], [often for _, often in FAULTS], k=AGAIN)
    dice.shuffle(names)
    moments = sorted(dice.sample(range(2, MOMENTS), len(names)))
    left = {name: dice.sample(kinds, len(kinds)) for name, kinds in KINDS_OF.items()}
    chosen = [(name, left[name].pop()) if left.get(name) else (name,) for name in names]
    return dict(zip(moments, chosen, strict=True))


def run(studio: Studio, seed: int) -> Outcome:
    """Storm over a pipeline that is up and quiet, calm it, and hold it to the law. Its keys are the seed's own."""
    began, dice, when = time.monotonic(), random.Random(seed), schedule(seed)
    weathers = Weather(studio, dice, seed)
    studio.say(f"SEED {seed}: {when}")
    known = pictures()
    lasting: list[tuple[int, Callable[[], None]]] = []
    for moment in range(MOMENTS):
        _use(studio, dice, known, f"incoming/s{seed}")
        if moment in when and (end := _begin(weathers, *when[moment])):
            lasting.append((moment + dice.randrange(*LIFETIME), end))
        for until, end in list(lasting):
            if until <= moment:
                lasting.remove((until, end))
                end()
        time.sleep(dice.uniform(*MOMENT_S))
    for _, end in lasting:
        end()
    (studio.beside / "weather.json").unlink(missing_ok=True)
    studio.calm()
    studio.uploads.quiet = studio.quiet()
    state = studio.seen()
    hits = studio.beside / "weather.hits"
    if hits.exists():
        for line in hits.read_text().splitlines():
            service, kind = line.split()
            weathers.counts[f"calls that failed: {kind} of {service}"] += 1
        hits.unlink()
    return Outcome(
        seed,
        breaches(studio.uploads, state),
        weathers.counts,
        statuses(state),
        sizes(state),
        time.monotonic() - began,
    )


def _begin(weathers: Weather, name: str, *kind: str) -> Callable[[], None] | None:
    """Let a fault come. Return how to end it, if it lasts."""
    end: Callable[[], None] | None = getattr(weathers, name)(*kind)
    return end


def _use(studio: Studio, dice: random.Random, known: dict[str, bytes], folder: str) -> None:
    """Somebody uploads, overwrites or removes."""
    for _ in range(dice.randrange(AT_ONCE)):
        key, name = f"{folder}/{dice.randrange(KEYS)}.jpg", dice.choice(sorted(known))
        if dice.random() < 0.12:
            studio.remove(key)
        else:
            studio.upload(key, known[name])


@contextlib.contextmanager
def studio() -> Iterator[Studio]:
    """A pipeline that is up, in a folder of its own; on a small disk if this machine lets us make one."""
    beside = Path(tempfile.mkdtemp(prefix="storm-"))
    folder = beside / "project"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={TMPFS}", "tmpfs", str(folder)]
    small = (
        shutil.which("mount")
        and not subprocess.run(mount, capture_output=True, check=False).returncode
    )
    if small:
        (beside / "small").touch()
    made = Studio(folder)
    try:
        made.lay_out()
        assert made.start()
        assert made.run("up", "--yes")[0] == 0
        made.tap()
        made.start_worker()
        yield made
    finally:
        made.stop()
        if small:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)
        shutil.rmtree(beside, ignore_errors=True)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.law.storm",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("seeds", type=int, nargs="+")
    parser.add_argument("--log", type=Path, help="where storm.log goes afterwards")
    given = parser.parse_args(arguments)
    bad = 0
    for outcome in runs(given.seeds, given.log):
        sys.stdout.write(json.dumps(outcome.as_json()) + "\n")
        sys.stdout.flush()
        bad += bool(outcome.broken)
    return 1 if bad else 0


def runs(seeds: Iterable[int], log: Path | None = None) -> Iterator[Outcome]:
    """Run seeds one after the other, over one pipeline as long as the law holds."""
    left = list(seeds)
    while left:
        with studio() as made:
            try:
                while left:
                    yield (outcome := run(made, left.pop(0)))
                    if outcome.broken:
                        break
            finally:
                if log:
                    keep(made, log)


def keep(made: Studio, folder: Path) -> None:
    """Copy what was logged to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("storm.log", "server.log", "worker.log"):
        with contextlib.suppress(OSError):
            shutil.copy(made.beside / name, folder)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
