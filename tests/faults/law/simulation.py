"""The real functions over a cloud in memory: one process, a clock of its own, and a seed that decides everything.

Every call of a function is a point where another one may go on in its place, where the call may fail before or after
it was done, and where the function may be killed. So writers meet at the same row, outputs are tidied while they
are made again, and messages come twice, late, in any order, or not at all. Then the faults stop, dead letters are
redriven, `audit --heal` does its work, and the law must hold.

    python -m tests.faults.law.simulation 17 18 19        replays seeds, call by call with --trace
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import random
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock
from urllib.parse import unquote_plus

from imgpipe.deploy import graph as graphs
from imgpipe.deploy import spec
from imgpipe.deploy.graph import Branch, Graph
from imgpipe.operate.audit import law as laws
from imgpipe.operate.audit import owners, remedy, walk
from imgpipe.operate.branches import creators, settings_of
from imgpipe.operate.dlq import queues, route
from imgpipe.operate.dlq.letters import Letter, decode
from imgpipe.operate.times import from_iso
from imgpipe.operate.why.facts import Version as Seen
from imgpipe.runtime import entry, log, notifier, row, steps, tidy, writer
from imgpipe.runtime.errors import Reason, Rejected
from imgpipe.runtime.made import Made, Picture
from imgpipe.runtime.settings import Limits, Settings
from tests.faults.law.check import Breach, breaches, sizes, statuses
from tests.faults.law.memory import Invocation, Memory, MemoryStore, Message
from tests.faults.law.state import Notice, Quiet, State, Uploads, Version
from tests.photos import ROOT
from tests.studio import ACCOUNT, HASHES, REGION

KEYS = tuple(f"incoming/{name}.jpg" for name in ("a", "b", "c"))
STORM_STEPS = (60, 700)
ROUNDS = 12
TIMEOUT_S = 60.0
GRACE, AHEAD = timedelta(minutes=15), timedelta(hours=1, minutes=1)
"""Clocks of functions are an hour off at most, so an audit by a clock that is further ahead knows everything as old."""
SHAPES = ("plain", "wider", "without enhance")
BESIDE, BESIDE_OF = " beside", 4
"""Every fourth seed stores its outputs in the bucket of the uploads, below a prefix."""


class FaultError(Exception):
    """What a call raises that the cloud let fail."""


class Killed(BaseException):
    """kill -9: whatever the function would still have done, it doesn't."""


@cache
def shaped(shape: str) -> Graph:
    """Return the default pipeline, or an edited one."""
    text = (ROOT / "pipeline.yaml").read_text()
    if shape.endswith(BESIDE):
        text = text.replace("prefix: incoming/\n", "prefix: incoming/\n  outputs: processed/\n")
        shape = shape.removesuffix(BESIDE)
    if shape == "wider":
        text = text.replace("width: 800", "width: 900").replace(
            "width: 1600}}\n  meta", "width: 1700}}\n  meta"
        )
    if shape == "without enhance":
        text = text[: text.index("  enhance:")] + text[text.index("  sizes:") :]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pipeline.yaml"
        file.write_text(text)
        declared = spec.load(file, "local")
    return graphs.build(declared, "local", account=ACCOUNT, region=REGION, code_hashes=HASHES)


@cache
def told(shape: str, branch: str) -> Settings:
    graph = shaped(shape)
    found = settings_of(next(each for each in graph.branches if each.name == branch))
    return replace(found, limits=Limits(isolate=False), digest=10**6)


def is_bad(data: bytes) -> bool:
    return data.startswith(b"bad")


def made_of(data: bytes, step: str, settings: Mapping[str, Any]) -> dict[str, bytes]:
    """Return what stands for a step's variants here: bytes that nothing else makes."""
    return {
        variant: b"|".join([data, step.encode(), variant.encode(), json.dumps(how).encode()])
        for variant, how in (settings.get("variants") or {}).items()
    }


def make(data: bytes, wanted: Mapping[str, Any], _limits: Limits) -> dict[str, Made]:
    if is_bad(data):
        raise Rejected(Reason.CORRUPT_IMAGE)
    return {
        step: Made(
            variants={
                variant: Picture(data=body, width=1, height=1, format="jpeg")
                for variant, body in made_of(data, step, settings).items()
            }
        )
        for step, settings in wanted.items()
    }


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def quiet(data: bytes, shapes: set[str]) -> Quiet:
    """Return what a run without any fault makes of a picture under each of the settings."""
    if is_bad(data):
        return {}
    return {
        shape: {
            step: {name: digest(body) for name, body in made_of(data, step, settings).items()}
            for branch in creators(shaped(shape))
            for step, settings in told(shape, branch.name).steps.items()
        }
        for shape in shapes
    }


@dataclass
class Process:
    """A function at work, in a thread that runs only while the scheduler lets it."""

    world: World
    branch: Branch
    settings: Settings
    event: dict[str, Any]
    done: Callable[[Any], None]
    request_id: str
    since_s: float
    skew_s: float = 0.0
    finished: bool = False
    killed: bool = False
    answer: Any = None
    _go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _thread: threading.Thread | None = None

    def resume(self) -> None:
        """Let it go on to its next call, or to its end."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run)
            self._thread.start()
        else:
            self._go.release()
        self.world.back.acquire()
        if self.finished:
            self._thread.join()
            self.world.processes.remove(self)
            self.done(self.answer)

    def call(self, method: str, do: Callable[[], Any]) -> Any:
        """What every call of its store goes through."""
        self.world.back.release()
        self._go.acquire()
        if self.killed:
            raise Killed
        when = self.world.fault(self, method)
        if when == "before":
            raise FaultError(method)
        found = do()
        if when == "after":
            raise FaultError(f"{method}, after it was done")
        if when == "kill":
            raise Killed
        return found

    def _run(self) -> None:
        here.process = self
        store = MemoryStore(self.world.memory, self.call)
        given: dict[str, Any] = {"store": store, "settings": self.settings}
        context = SimpleNamespace(aws_request_id=self.request_id)
        try:
            self.answer = entry.serve(
                self.event,
                context,
                lambda: lambda event, context: _handle(self.branch, event, context, given),
                **given,
            )
        except Killed:
            self.answer = None
        except Exception as error:  # noqa: BLE001 - a function's failure is Lambda's business
            self.answer = error
        finally:
            self.finished = True
            self.world.back.release()


here = threading.local()


def _handle(branch: Branch, event: Any, context: Any, given: dict[str, Any]) -> Any:
    match branch.source:
        case "images":
            return steps.run(event, context, make, **given)
        case "tidy":
            return tidy.run(event, context, **given)
        case "writer":
            return writer.run(event, context, **given)
        case _:
            return notifier.run(event, context, **given)


@dataclass
class Outcome:
    """What a run came to."""

    seed: int
    broken: list[Breach]
    faults: Counter[str]
    statuses: Counter[str]
    sizes: Counter[str]
    findings: Counter[str]
    judged: int  # keys that had to be right before any healing


class World:
    """A pipeline, its users and its misfortunes, all from one seed."""

    def __init__(self, seed: int, trace: bool = False) -> None:
        self.seed, self.trace = seed, trace
        self.dice = random.Random(seed)
        self.layout = BESIDE if seed % BESIDE_OF == BESIDE_OF - 1 else ""
        self.shape = f"plain{self.layout}"
        self.shapes = {self.shape}
        self.memory = Memory(shaped(self.shape))
        self.processes: list[Process] = []
        self.back = threading.Semaphore(0)
        self.uploads = Uploads()
        self.pictures: dict[str, bytes] = {}
        self.newest: dict[str, str] = {}  # the last version, or delete marker, that was put
        self.spared: set[str] = set()  # outputs that tidy left where they are
        self.abandoned: set[str] = set()
        self.taken_up: set[str] = set()  # keys of which a rejection was redriven
        self.cut_off: set[str] = set()  # keys of which a message was lost for good
        self.early: list[Breach] = []
        self.faults: Counter[str] = Counter()
        self.findings: Counter[str] = Counter()
        self.stormy = True
        self.down: set[str] = set()
        self.copies: list[tuple[str, Any]] = []
        # Each seed has a weather of its own: some are rough in one way only, which finds what a mixture hides.
        self.rates = {
            name: self.dice.choice([0.0, 0.0, most / 4, most])
            for name, most in (
                ("before", 0.15),
                ("after", 0.1),
                ("kill", 0.05),
                ("lost event", 0.3),
                ("double", 0.5),
                ("skew", 0.5),
            )
        }
        self.uploads_left = self.dice.randrange(1, 14)

    # Faults

    def fault(self, process: Process, method: str) -> str:
        """Decide about one call."""
        self._say(f"{process.branch.name} {process.request_id} {method}")
        if not self.stormy:
            return ""
        call = f"{method} by {process.branch.name}"
        if method in self.down:
            return self._count("before", f"is down: {call}")
        roll = self.dice.random()
        for name in ("before", "after", "kill"):
            roll -= self.rates[name]
            if roll < 0:
                words = {"before": "fails", "after": "done, answer lost", "kill": "kill after"}
                return self._count(name, f"{words[name]}: {call}")
        return ""

    def _count(self, name: str, words: str) -> str:
        self.faults[words] += 1
        self._say(f"  FAULT {words}")
        return name

    def _say(self, text: str) -> None:
        if self.trace:
            sys.stdout.write(f"{self.memory.now_s:.1f} {text}\n")

    # The storm

    def run(self) -> Outcome:
        for _ in range(self.dice.randrange(*STORM_STEPS)):
            self._step()
        self._calm()
        state = self.seen()
        return Outcome(
            self.seed,
            [*self.early, *breaches(self.uploads, state), *self._unmended()],
            self.faults,
            statuses(state),
            sizes(state),
            self.findings,
            len(set(KEYS) - self.cut_off),
        )

    def _unmended(self) -> Iterator[Breach]:
        if self.findings["not mended"]:
            yield Breach("lost", "", f"there is still something to heal after {ROUNDS} rounds")

    def _step(self) -> None:
        actions: list[tuple[float, Callable[[], None]]] = [
            (8, self._resume),
            (4, self._start),
            (2, self._event),
            (1, self._use),
            (0.6, self._wait),
            (0.2, self._copy),
            (0.15, self._toggle),
            (0.1, self._kill),
            (0.08, self._redrive),
            (0.06, self._audit),
            (0.04, self._edit),
            (0.03, self._purge),
        ]
        [action] = self.dice.choices(
            [action for _, action in actions], [weight for weight, _ in actions]
        )
        action()

    def _use(self) -> None:
        """Somebody uploads, overwrites, removes, or brings back what was removed."""
        if not self.uploads_left:
            return
        self.uploads_left -= 1
        key = self.dice.choice(KEYS)
        there = self.memory.uploads.get(key) or []
        choice = self.dice.random()
        if there and choice < 0.2:
            self._say(f"REMOVE {key}")
            self.newest[key] = self.memory.upload(key, None).id
        elif there and choice < 0.3:
            gone = self.memory.erase(key)
            self._say(f"ERASE {key} {gone.id}")
            self.uploads.erased.add((key, gone.id))
        else:
            data = self.dice.choice([b"good", b"good too", b"fine", b"bad", b"bad too"])
            made = self.memory.upload(key, data)
            self._say(f"UPLOAD {key} {made.id} {data!r}")
            self.uploads.accepted[key, made.id] = made.etag
            self.newest[key] = made.id
            self.pictures[made.etag] = data

    def _event(self) -> None:
        """S3 tells of a change: once, twice, late, or never."""
        if not self.memory.events:
            return
        topic, document = self.memory.events.pop(self.dice.randrange(len(self.memory.events)))
        if self.dice.random() < self.rates["lost event"]:
            self.faults["event lost"] += 1
            self.cut_off.add(_key_of(document))
            self._say(f"LOST {topic}")
            return
        if self.dice.random() < self.rates["double"]:
            self.faults["event twice"] += 1
            self.memory.publish(topic, document)
        self.memory.publish(topic, document)
        self.copies.append((topic, document))

    def _copy(self) -> None:
        if self.copies:
            self.faults["late copy of an event"] += 1
            self.memory.publish(*self.dice.choice(self.copies))

    def _start(self) -> None:
        """Call a function with an event, or with a batch of messages."""
        waiting: list[tuple[Branch, Invocation | None]] = [
            (self._branch(each.function), each) for each in self.memory.invocations if not each.busy
        ]
        waiting += [
            (branch, None)
            for branch in self.memory.graph.branches
            if branch.queue and self.memory.visible(self.memory.url(branch.queue))
        ]
        if not waiting:
            return
        branch, invocation = self.dice.choice(waiting)
        if invocation:
            self._call(branch, invocation)
        else:
            self._batch(branch)

    def _branch(self, function: str) -> Branch:
        return next(each for each in self.memory.graph.branches if each.function == function)

    def _call(self, branch: Branch, invocation: Invocation) -> None:
        invocation.busy = True
        invocation.calls += 1

        def done(answer: Any) -> None:
            if isinstance(answer, dict):
                self.memory.invocations.remove(invocation)
            else:
                self.memory.failed(invocation)

        self._launch(branch, invocation.event, done, invocation.request_id)

    def _batch(self, branch: Branch) -> None:
        url = self.memory.url(str(branch.queue))
        visible = self.memory.visible(url)
        some = self.dice.sample(visible, self.dice.randrange(1, min(10, len(visible)) + 1))
        for message in some:
            message.receives += 1
            message.visible_s = self.memory.now_s + 360
            if self.stormy and self.dice.random() < self.rates["double"] / 4:
                message.visible_s = self.memory.now_s

        def done(answer: Any) -> None:
            if not isinstance(answer, dict):
                self._abandon(some)
                return
            failed = {each["itemIdentifier"] for each in answer["batchItemFailures"]}
            self._abandon([each for each in some if each.id in failed])
            if self.stormy and self.dice.random() < self.rates["kill"]:
                self.faults["acknowledgement lost"] += 1
                return
            self._acknowledge(url, [each for each in some if each.id not in failed])

        records = {"Records": [message.record() for message in some]}
        self._launch(branch, records, done, f"r{self.memory.number()}")

    def _abandon(self, some: list[Message]) -> None:
        """Note whose attempt has died after another delivery of its message was acknowledged: none follows it."""
        held = {id(each) for waiting in self.memory.queues.values() for each in waiting}
        gone = " ".join(each.body for each in some if id(each) not in held)
        self.abandoned.update(key for key in KEYS if key in gone)

    def _acknowledge(self, url: str, some: list[Message]) -> None:
        for message in some:
            with contextlib.suppress(ValueError):
                self.memory.messages(url).remove(message)

    def _launch(
        self, branch: Branch, event: Any, done: Callable[[Any], None], request_id: str
    ) -> None:
        skew = self.dice.random() < self.rates["skew"] and self.stormy
        self.faults["clock skewed"] += skew
        if self.stormy:
            self._meet(branch, event)
        made = Process(
            self,
            branch,
            told(self.shape, branch.name),
            event,
            done,
            request_id,
            self.memory.now_s,
            skew_s=self.dice.choice([-3600.0, 3600.0]) if skew else 0.0,
        )
        self.processes.append(made)
        made.resume()

    def _meet(self, branch: Branch, event: dict[str, Any]) -> None:
        """Count what is begun while it, or a copy of it, is worked on."""
        others = [
            each
            for process in self.processes
            if process.branch.name == branch.name
            for each in _said(process.event)
        ]
        for identifier, words in _said(event):
            if any(identifier == other for other, _ in others):
                self.faults["a message in work comes again"] += 1
            elif any(words == other for _, other in others):
                self.faults["a copy beside one in work"] += 1

    def _resume(self) -> None:
        if self.processes:
            self.dice.choice(self.processes).resume()

    def _kill(self) -> None:
        if self.processes:
            process = self.dice.choice(self.processes)
            process.killed = True
            self.faults[f"kill -9: {process.branch.name}"] += 1
            self._say(f"KILL {process.request_id}")
            process.resume()

    def _wait(self) -> None:
        self._pass(
            self.dice.expovariate(1 / self.dice.choice([0.1, 0.1, 1.0, 1.0, 1.0, 5.0, 400.0]))
        )

    def _pass(self, seconds: float) -> None:
        """Let time pass. Lambda ends a function whose time is over."""
        self.memory.now_s += seconds
        for process in [
            each for each in self.processes if each.since_s < self.memory.now_s - TIMEOUT_S
        ]:
            self.faults["time ran out"] += 1
            process.killed = True
            process.resume()

    def _toggle(self) -> None:
        """Something goes down, or all comes back."""
        if self.down:
            self.down = set()
            return
        what = self.dice.choice(
            [
                {"get_item", "put_item"},
                {"send"},
                {"publish"},
                {"open", "exists", "version"},
                {"put", "delete"},
            ]
        )
        self.faults[f"down for a while: {min(what)}"] += 1
        self.down = what

    def _purge(self) -> None:
        """Somebody empties a queue behind our back."""
        full = [url for url, some in self.memory.queues.items() if some and url.endswith("images")]
        if full:
            self.faults["queue purged"] += 1
            self._forget(self.dice.choice(full))

    def _forget(self, url: str) -> None:
        """Lose all that a queue holds."""
        told = " ".join(message.body for message in self.memory.queues.pop(url))
        self.cut_off.update(key for key in KEYS if key in told)

    def _edit(self) -> None:
        """`up` with another pipeline.yaml while images are on their way."""
        self._become(f"{self.dice.choice(SHAPES)}{self.layout}")

    def _become(self, shape: str) -> None:
        if shape == self.shape:
            return
        self.faults["settings changed in flight"] += 1
        self._say(f"UP {shape}")
        self.shape = shape
        self.shapes.add(shape)
        self.memory.graph = shaped(shape)
        known = {self.memory.url(name) for name in self.memory.graph.queues.values()}
        for url in [url for url in self.memory.queues if url not in known]:
            self._forget(url)

    # The calm

    def _calm(self) -> None:
        self.stormy, self.down = False, set()
        while self.memory.events:
            self.memory.publish(*self.memory.events.pop(0))
        self.uploads.quiet = {
            etag: quiet(data, self.shapes) for etag, data in self.pictures.items()
        }
        self._unhealed()
        for _ in range(ROUNDS):
            self._drain()
            if not self._redrive() and not self._audit():
                break
        else:
            self.findings["not mended"] += 1
        self._orders_again()

    def _orders_again(self) -> None:
        """Every order to delete outputs comes once more, weeks late: what rows name by now stays."""
        for url, body in sorted(self.memory.orders):
            self.memory.send(url, body)
        self._drain()

    def _unhealed(self) -> None:
        """Judge what must be right without any healing: all but what was cut off for good."""
        for _ in range(ROUNDS):
            self._drain()
            if not self._redrive():
                break
        self.early = [
            Breach(each.kind, each.key, f"{each.why} (before any healing)")
            for each in breaches(self.uploads, self.seen())
            if not self._is_explained(each)
        ]
        self.early += self._letterless()

    def _letterless(self) -> Iterator[Breach]:
        """Each function that refused an upload has sent a letter of its own before it said so. A letter that was
        redriven, because an edit changed what is done, may have been lost with its queue.
        """
        letters = self._letters()
        for (key, sort), item in sorted(self.memory.items.items()):
            there = self.memory.current(key)
            if sort != row.SK_IMAGE or there is None or key in self.taken_up:
                continue
            shown = row.from_item(item)
            held = {
                step
                for each in letters
                if each.key == key and each.version_id in (None, there.id)
                for step in each.steps
            }
            for name, step in shown["steps"].items():
                about = shown["version_id"] == there.id
                if about and step["status"] == "rejected" and name not in held:
                    yield Breach("no letter", key, f"{name} refused it without a letter")

    def _is_explained(self, breach: Breach) -> bool:
        """Whether nothing but an audit can know of it. Of what follows S3 tells nobody, and no message is left:

        a message was lost for good; a version shows again because a newer one was erased; an attempt died with its
        outputs stored, and another delivery of its message was acknowledged before, or pipeline.yaml was edited since,
        so that the next one stores others; tidy came between the writer's order and its write, and spared what the
        row still named, and the writer died before it said so again; a row waits for a step that went with an edit.
        """
        whose = {key for key in KEYS if owners.is_of(self.memory.graph, breach.key, key)}
        if any(key in self.cut_off or self._shows_again(key) for key in {breach.key, *whose}):
            return True
        if whose & self.abandoned:
            return True
        if whose:
            return breach.key in self.spared or breach.key.rpartition(".")[0] not in self._names()
        return breach.kind == "lost" and self._awaits_what_went(breach.key)

    def _awaits_what_went(self, key: str) -> bool:
        """Whether only the step that edits take away and bring back is lacking."""
        if not any(shape.startswith("without enhance") for shape in self.shapes):
            return False
        item = self.memory.items.get((key, row.SK_IMAGE))
        known = row.from_item(item)["steps"] if item else {}
        done = {name for name, step in known.items() if step["status"] == "done"}
        return done | {"enhance"} >= {"thumbnail", "enhance", "sizes", "metadata"}

    def keep_apart(self, tidies: Any, keys: list[str], *given: Any) -> list[str]:
        """What tidy does, noting which outputs it spares because a row names them at this moment."""
        kept: list[str] = tidies(keys, *given)
        rows = (item for (_, sort), item in self.memory.items.items() if sort == row.SK_IMAGE)
        named = {each for item in rows for each in row.outputs(row.load(item)[0])}
        self.spared.update((set(keys) - set(kept)) & named)
        return kept

    def _shows_again(self, key: str) -> bool:
        """Whether the latest version of a key is not the last one that was put there."""
        there = self.memory.uploads.get(key) or []
        return bool(there and there[-1].data is not None and there[-1].id != self.newest[key])

    def _names(self) -> set[str]:
        """Return what the outputs of all uploads are called under the settings that hold now, without endings."""
        graph = self.memory.graph
        return {
            name
            for key, identifier in self.uploads.accepted
            for name in owners.called(graph, key, identifier, "")
        }

    def _drain(self) -> None:
        """Let everything come to its end."""
        while True:
            while self.processes:
                self._resume()
            self.memory.now_s += 1000
            before = len(self.processes)
            self._start()
            if len(self.processes) == before and not any(self.memory.in_work()):
                return

    def _redrive(self) -> int:
        """`imgpipe dlq redrive`."""
        moved = 0
        for home in queues.homes(self.memory.graph):
            for message in list(self.memory.messages(home.url)):
                letter = decode(home, message.received())
                way = route.chosen(self.memory.graph, letter, force=False)
                if isinstance(way, route.NoWay):
                    continue
                self.memory.messages(home.url).remove(message)
                self.taken_up.update({letter.key or ""} if letter.kind == "rejected" else ())
                moved += 1
                if isinstance(way, route.ToQueue):
                    self.memory.send(way.url, way.body)
                else:
                    self.memory.invoke(way.function, json.loads(way.event))
        self.faults["redrive"] += bool(moved) and self.stormy
        return moved

    def _audit(self) -> int:
        """`imgpipe audit --heal --grace 0s`: what it does about what it finds."""
        done = 0
        for finding in self._findings():
            what = remedy.remedy(self.memory.graph, finding)
            self._say(f"HEAL {finding.kind} {finding.key}: {finding.why}; {what.words}")
            for call in what.calls:
                done += 1
                if isinstance(call, remedy.Send):
                    self.memory.send(call.url, call.body)
                else:
                    self.memory.invoke(call.function, json.loads(call.body))
            if not self.stormy:
                self.findings[finding.kind] += 1
        self.faults["healed in the middle"] += bool(done) and self.stormy
        return done

    def _findings(self) -> Iterator[laws.Finding]:
        memory = self.memory
        asked = SimpleNamespace(uploads=SimpleNamespace(suffixes=()))
        project: Any = SimpleNamespace(graph=memory.graph, spec=asked)
        grace, ahead = (GRACE, timedelta(0)) if self.stormy else (timedelta(0), AHEAD)
        law = walk.law_of(project, grace, self._busy())
        law = replace(law, now=datetime.fromtimestamp(memory.now_s, UTC) + ahead)
        letters = self._letters()
        rows = {pk: row.from_item(item) for (pk, sk), item in memory.items.items() if sk == "image"}
        found: list[laws.Finding] = []
        for key, versions in sorted(memory.uploads.items()):
            if not versions:
                continue
            upload = laws.Upload(key=key, latest=_seen(versions[-1]), older=len(versions) - 1)
            about = tuple(
                each
                for each in letters
                if each.key == key and each.version_id in (None, upload.latest.id)
            )
            _, finding = laws.judge(law, upload, rows.get(key), about)
            found += [finding] if finding else []
            shown = rows.get(key)
            named = [each["key"] for each in shown["outputs"].values()] if shown else []
            gone = tuple(sorted(each for each in named if each not in memory.variants))
            if (
                shown
                and gone
                and versions[-1].data is not None
                and laws.is_about(shown, upload.latest)
            ):
                found.append(laws.unmade(law, upload, shown, gone))
        yield from found
        again = {name for each in found for name in remedy.made_again(memory.graph, each)}
        named_by_any = {
            made["key"] for shown in rows.values() for made in shown["outputs"].values()
        }
        again |= {
            name
            for key in KEYS
            if (there := memory.current(key)) and not _is_done(rows.get(key), there.id)
            for name in owners.called(memory.graph, key, there.id, "")
        }
        unsure = law.busy & {"removed", "results", "dead results"}
        for key in sorted(memory.variants.keys() - named_by_any):
            made = datetime.fromtimestamp(memory.stored_s[key], UTC)
            if not unsure and law.old(made) and key.rpartition(".")[0] not in again:
                whose = tuple(each for each in KEYS if owners.is_of(memory.graph, key, each))
                why = "no row names it"
                yield laws.Finding(kind="orphan", key=key, why=why, outputs=(key,), owners=whose)
        yield from self._strays(rows, law)

    def _strays(self, rows: dict[str, dict[str, Any]], law: laws.Law) -> Iterator[laws.Finding]:
        for key, shown in sorted(rows.items()):
            gone = not self.memory.uploads.get(key) and shown["status"] != "removed"
            if gone and not law.busy & {"removed", "results"}:
                yield laws.Finding(
                    kind="stale", key=key, why="no version", sequencer=shown["sequencer"]
                )

    def _busy(self) -> frozenset[str]:
        found: set[str] = set()
        if self.memory.messages(self.memory.url(self.memory.graph.queues["results-dlq"])):
            found.add("dead results")
        for branch in self.memory.graph.branches:
            if branch.queue and self.memory.messages(self.memory.url(branch.queue)):
                names = {"writer": "results", "tidy": "removed"}
                found |= {names.get(branch.source, branch.name), *branch.steps}
        return frozenset(found)

    def _letters(self) -> list[Letter]:
        return [
            decode(home, message.received())
            for home in queues.homes(self.memory.graph)
            for message in self.memory.messages(home.url)
        ]

    # What there is

    def seen(self) -> State:
        memory = self.memory
        versions = [
            Version(
                key=key,
                id=each.id,
                etag=each.etag,
                latest=each is some[-1],
                marker=each.data is None,
            )
            for key, some in memory.uploads.items()
            for each in some
        ]
        letters = [(each.key or "", each.version_id, each.kind) for each in self._letters()]
        return State(
            versions=versions,
            rows=[row.from_item(item) for (_, sk), item in memory.items.items() if sk == "image"],
            outputs={key: digest(data) for key, data in memory.variants.items()},
            letters=letters,
            completed=memory.completed,
            notices=[self._notice(each) for each in memory.notices],
            waiting=dict(memory.in_work()),
        )

    def _notice(self, sent: dict[str, Any]) -> Notice:
        return Notice(kind=sent["kind"], name=sent["about"], message_id=str(sent["id"]))


def _said(event: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the id of each message of an event, and what it says without its envelopes."""
    for record in event["Records"]:
        if "s3" in record:  # sent to a function directly, by healing
            yield f"direct {id(record)}", json.dumps({"Records": [record]})
            continue
        told = record.get("Sns") or json.loads(record["body"])
        identifier = record.get("messageId") or told["MessageId"]
        yield identifier, told.get("Message") or record["body"]


def _is_done(shown: Mapping[str, Any] | None, version_id: str) -> bool:
    return shown is not None and (shown["status"], shown["version_id"]) == ("done", version_id)


def _key_of(document: Mapping[str, Any]) -> str:
    return str(unquote_plus(document["Records"][0]["s3"]["object"]["key"]))


def _seen(made: Any) -> Seen:
    at = from_iso(made.at)
    assert at is not None
    size = len(made.data or b"")
    return Seen(id=made.id, at=at, size=size, etag=made.etag, latest=True, marker=made.data is None)


def run(seed: int, *, trace: bool = False) -> Outcome:
    """Run one seed. The functions' clock and dice are the simulation's; they write no log."""
    world = World(seed, trace)

    def now() -> str:
        process: Process = here.process
        at = datetime.fromtimestamp(world.memory.now_s + process.skew_s, UTC)
        return log.iso(at)

    def code_hash() -> str:
        return HASHES[here.process.branch.source]

    forms = notifier._forms

    def with_upload(notice: Any) -> str:
        """Name the version too, which people aren't told."""
        told = json.loads(forms(notice))
        return json.dumps({**told, "about": f"{notice.key} {notice.upload}"})

    operator = SimpleNamespace(now=lambda zone: datetime.fromtimestamp(world.memory.now_s, zone))
    chance = SimpleNamespace(urandom=world.dice.randbytes)
    with (
        mock.patch.object(log, "now", now),
        mock.patch.object(remedy, "datetime", operator),
        mock.patch.object(walk.rows, "began", _never),
        mock.patch.object(log, "line", _silent),
        mock.patch.object(log, "count", _silent),
        mock.patch.object(notifier, "_forms", with_upload),
        mock.patch.object(steps, "os", chance),
        mock.patch.object(steps, "code_hash", code_hash),
        mock.patch.object(tidy, "kept_apart", partial(world.keep_apart, tidy.kept_apart)),
    ):
        return world.run()


def _never(_: object) -> None:
    """When the pipeline began: nothing is older."""


def _silent(*_: object, **__: object) -> None:
    """What the functions would log."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.law.simulation",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("seeds", help="such as 17, or 0-9999", nargs="+")
    parser.add_argument("--trace", action="store_true")
    given = parser.parse_args(arguments)
    bad = 0
    for text in given.seeds:
        first, _, last = text.partition("-")
        for seed in range(int(first), int(last or first) + 1):
            outcome = run(seed, trace=given.trace)
            bad += bool(outcome.broken)
            for breach in outcome.broken:
                sys.stdout.write(f"seed {seed}: {breach}\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
