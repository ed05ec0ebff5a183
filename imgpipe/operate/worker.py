"""Workers: processes of this machine that do a function's work, started, watched and stopped here.

Each process runs `imgpipe.runtime.worker` with what the graph says its function would run with, and the credentials of
the environment. One that ends unasked is started again, after a growing pause. Stopping asks each to finish what it has
in work and to give the rest back; who doesn't within the grace is killed, and its messages come back by themselves.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from imgpipe.deploy.templates import source_folder
from imgpipe.errors import UsageError
from imgpipe.operate.branches import named
from imgpipe.operate.log_search import Line
from imgpipe.operate.times import iso
from imgpipe.operate.worker_count import Count
from imgpipe.runtime.worker import HOLD_S, HOLD_VARIABLE, METRICS_VARIABLE, PARENT_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from imgpipe.deploy.graph import Branch, Graph
    from imgpipe.operate.project import Project

TICK_S = 0.5
HEALTH_EVERY_S = 5.0
LAST_WORDS_S = 2.0
STEADY_S = 30.0
"""A process that lived so long is started again at once when it ends."""
LONGEST_PAUSE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How many processes for which branches, and how they are watched."""

    branches: tuple[Branch, ...]
    processes: int = 1
    grace_s: float = 60.0
    hold_s: int = HOLD_S
    metrics_s: float = 60.0
    health: Path | None = None


def branches(graph: Graph, name: str | None) -> tuple[Branch, ...]:
    """Return the branches that `name` (a step or function) means; None means all that are for workers.

    Raises UsageError for a name that means none, and for a step without a queue.
    """
    if name is None:
        found = tuple(branch for branch in graph.branches if branch.via == "worker")
        if not found:
            raise UsageError(
                "workers",
                "no step is for them",
                hint="write `via: worker` in a step, or name a step with a queue",
            )
        return found
    found = named(graph.branches, name)
    if not found:
        known = ", ".join(branch.name for branch in graph.branches if branch.queue)
        raise UsageError(f"step {name}", f"there is none; those with a queue are {known}")
    if not found[0].queue:
        raise UsageError(
            f"step {name}",
            "it has no queue to take messages from",
            hint="write `via: worker`, then imgpipe up",
        )
    return found


@dataclass(slots=True)
class _Child:
    """A worker process and what it last said."""

    branch: Branch
    number: int
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause_s: float = 0.0
    again_at: float = 0.0
    restarts: int = 0
    counts: list[Count] = field(default_factory=list)  # of each process that it was
    listener: threading.Thread | None = None

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def tally(self) -> Tally:
        return _sum((count.done, count.failed, count.others) for count in self.counts)


class Tally(NamedTuple):
    """Images worked on, failed attempts, and messages that brought no image."""

    done: int = 0
    failed: int = 0
    others: int = 0


def _sum(each: Iterable[tuple[int, int, int]]) -> Tally:
    return Tally(*map(sum, zip((0, 0, 0), *each, strict=True)))


@dataclass(slots=True)
class Workers:
    """The processes of a plan. `lines` runs them and yields what they say until `stop`."""

    project: Project
    plan: Plan
    _children: list[_Child] = field(default_factory=list)
    _said: queue.SimpleQueue[Line] = field(default_factory=queue.SimpleQueue)
    _stopping_since: float | None = None
    _wrote_health: float = 0.0
    killed: bool = False
    """Whether a process was cut off at its work, which comes back to the queue by itself."""

    def lines(self) -> Iterator[Line]:
        """Start the processes and yield each line they say, until they were stopped and have ended."""
        count = range(self.plan.processes)
        self._children = [
            _Child(branch, number) for branch in self.plan.branches for number in count
        ]
        try:
            while self._stopping_since is None or any(child.alive for child in self._children):
                self._tend()
                yield from self._heard(TICK_S)
            self._hear_out()
            yield from self._heard(0.2)
        finally:
            self._end_all()
            self._write_health(final=True)

    def stop(self) -> None:
        """Ask every process to finish; the second time, kill them."""
        if self._stopping_since is None:
            self._stopping_since = time.monotonic()
            self._signal(signal.SIGTERM)
        else:
            self._signal(signal.SIGKILL)

    @property
    def tally(self) -> Tally:
        """Return what all processes did, those that ended too."""
        return _sum(child.tally for child in self._children)

    def _tend(self) -> None:
        now = time.monotonic()
        if self._stopping_since is None:
            for child in self._children:
                if not child.alive:
                    self._start_again(child, now)
        elif now - self._stopping_since > self.plan.grace_s:
            self._signal(signal.SIGKILL)
        if now - self._wrote_health >= HEALTH_EVERY_S:
            self._wrote_health = now
            self._write_health()

    def _start_again(self, child: _Child, now: float) -> None:
        if child.process is not None:
            code = child.process.returncode
            child.process, child.restarts = None, child.restarts + 1
            steady = now - child.started > STEADY_S
            child.pause_s = 0.0 if steady else min(LONGEST_PAUSE_S, 2 * child.pause_s or 1.0)
            child.again_at = now + child.pause_s
            self._say(child, {"event": "worker ended", "code": code, "again_in_s": child.pause_s})
        if now >= child.again_at:
            self._start(child)

    def _start(self, child: _Child) -> None:
        child.started = time.monotonic()
        child.process = subprocess.Popen(
            [sys.executable, "-m", "imgpipe.runtime.worker"],
            env=self._environment(child.branch),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        count = Count()
        child.counts.append(count)
        heard = (child, child.process, count)
        child.listener = threading.Thread(target=self._listen, args=heard, daemon=True)
        child.listener.start()

    def _environment(self, branch: Branch) -> dict[str, str]:
        source = str(source_folder(branch.source, self.project.folder))
        paths = [source, str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
        made = {
            **os.environ,
            **branch.environment,
            **credentials(self.project),
            "PYTHONPATH": os.pathsep.join(path for path in paths if path),
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(branch.running.memory_mb),
            PARENT_VARIABLE: str(os.getpid()),
            METRICS_VARIABLE: str(self.plan.metrics_s),
            HOLD_VARIABLE: str(self.plan.hold_s),
        }
        if self.project.cloud.target.access_key:
            made.pop("AWS_PROFILE", None)
            made.pop("AWS_SESSION_TOKEN", None)
        return made

    def _listen(self, child: _Child, process: subprocess.Popen[bytes], count: Count) -> None:
        for raw in process.stdout or ():
            text = raw.decode("utf-8", "replace").rstrip("\n")
            count.hear(text)
            self._said.put(_line(child, text))

    def _hear_out(self) -> None:
        """Read what the processes, which have ended, still said."""
        for child in self._children:
            if child.listener:
                child.listener.join(LAST_WORDS_S)

    def _say(self, child: _Child, document: Mapping[str, Any]) -> None:
        self._said.put(_line(child, json.dumps(document)))

    def _heard(self, wait_s: float) -> Iterator[Line]:
        """Yield what was said, waiting a little for the first line."""
        try:
            yield self._said.get(timeout=wait_s)
            while True:
                yield self._said.get_nowait()
        except queue.Empty:
            return

    def _signal(self, number: signal.Signals) -> None:
        for child in self._children:
            if child.alive and child.process:
                child.process.send_signal(number)
                self.killed = self.killed or number == signal.SIGKILL

    def _end_all(self) -> None:
        """Leave no process behind, however this ends."""
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + (self.plan.grace_s if self._stopping_since is None else 1.0)
        for child in self._children:
            if child.process:
                try:
                    child.process.wait(max(0.1, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    self.killed = True
                    child.process.kill()
                    child.process.wait()

    def _write_health(self, *, final: bool = False) -> None:
        """Write the health file whole, so that a probe never reads half of one."""
        if self.plan.health is None:
            return
        temporary = self.plan.health.with_name(self.plan.health.name + ".new")
        temporary.write_text(
            json.dumps(self._health(final=final), indent=2) + "\n", encoding="utf-8"
        )
        temporary.replace(self.plan.health)

    def _health(self, *, final: bool) -> dict[str, Any]:
        stopping = final or self._stopping_since is not None
        workers = [
            {
                "step": child.branch.name,
                "pid": child.process.pid if child.process and child.alive else None,
                "alive": child.alive,
                "restarts": child.restarts,
                **child.tally._asdict(),
            }
            for child in self._children
        ]
        healthy = not stopping and all(worker["alive"] for worker in workers)
        return {
            "at": iso(datetime.now(UTC)),
            "healthy": healthy,
            "stopping": stopping,
            "workers": workers,
        }


def _line(child: _Child, text: str) -> Line:
    name = child.branch.name if child.number == 0 else f"{child.branch.name}.{child.number + 1}"
    return Line(datetime.now(UTC), name, text, id="")


def credentials(project: Project) -> dict[str, str]:
    """Return the variables that point the SDK of another process at the project's cloud."""
    target = project.cloud.target
    made = {"AWS_REGION": project.cloud.region, "AWS_DEFAULT_REGION": project.cloud.region}
    if target.endpoint:
        made["AWS_ENDPOINT_URL"] = target.endpoint
    if target.access_key and target.secret_key:
        made |= {"AWS_ACCESS_KEY_ID": target.access_key, "AWS_SECRET_ACCESS_KEY": target.secret_key}
    elif target.profile:
        made["AWS_PROFILE"] = target.profile
    return made


def summary(names: Sequence[Branch], processes: int) -> str:
    """Return `2 workers for tint, 2 for large`."""
    return ", ".join(f"{processes} for {branch.name}" for branch in names)
