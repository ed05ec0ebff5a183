"""The checks of a self-test: what must come when a good image, a poison one and a dead letter go in.

Everything lies under a folder of its own, `imgpipe-selftest-…`, and is erased afterwards, also when a check fails or
somebody interrupts. The alarm is tried with a real dead letter: one message in a branch's dead-letter queue, about no
image, taken out again at the end. People who asked for notices hear of the two images and of the alarm like of others.

What doesn't come is named with why; `--keep` leaves it there to be looked at.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from imgpipe.cloud import explain
from imgpipe.deploy.resources import Alarm
from imgpipe.operate import branches, images, rows
from imgpipe.operate.audit.outputs import is_there
from imgpipe.operate.dlq import find, queues
from imgpipe.operate.erase import run as erasing
from imgpipe.operate.selftest import pictures
from imgpipe.runtime.errors import Reason

if TYPE_CHECKING:
    from imgpipe.operate.project import Project

FOLDER = "imgpipe-selftest-"
ALARM_S = 240.0
"""A metric of a queue is a minute or two late, and an alarm looks at whole minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that must come: what, whether it came, and what was seen."""

    name: str
    state: Literal["came", "missing", "skipped"]
    seen: str
    ms: int

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "state": self.state, "seen": self.seen, "ms": self.ms}


@dataclass(slots=True)
class SelfTest:
    """One run. `timeout_s` is for each image; the alarm has `ALARM_S`."""

    project: Project
    id: str
    timeout_s: float
    alarm: bool = True
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _letter: tuple[str, str] | None = field(default=None)  # the queue's URL and the message's id
    _began: float = 0.0
    _rang: bool = False  # the alarm, before the letter was there

    def key(self, name: str) -> str:
        """Return the full key of one of the two uploads, with an ending that triggers where endings are chosen."""
        suffixes = self.project.spec.uploads.suffixes
        ending = suffixes[0] if suffixes else ".jpg"
        return images.join(self.project.graph.prefix, f"{FOLDER}{self.id}", f"{name}{ending}")

    def run(self) -> Iterator[Check]:
        """Yield each check as it ends. Raises CloudError when an upload is refused."""
        self._began = self.now()
        self._put(self.key("good"), pictures.good())
        self._put(self.key("poison"), pictures.POISON)
        if self.alarm:
            self._send_letter()
        yield from self._good()
        yield from self._poison()
        if self.alarm:
            yield self._until("alarm", self._alarm, ALARM_S)
        else:
            yield self._check("alarm", "skipped", "not asked for")

    def clean_up(self) -> Check:
        """Erase both uploads and the letter, and verify it."""
        if self._letter:
            self._take_letter()
        # One after the other: each look into a queue is an attempt at what waits there, and two at once
        # could make a dead letter of another's message.
        erased = [self._erased(self.key(name)) for name in ("good", "poison")]
        left = [key for key, complete in erased if not complete]
        if left:
            return self._check("cleaned up", "missing", f"not verified yet: {', '.join(left)}")
        return self._check("cleaned up", "came", "nothing of it is left")

    def _erased(self, key: str) -> tuple[str, bool]:
        *_, receipt = erasing.erase(self.project, key, timeout_s=120)
        return key, receipt.complete

    def _put(self, key: str, body: bytes) -> None:
        s3 = self.project.cloud.client("s3")
        try:
            s3.put_object(
                Bucket=self.project.graph.uploads_bucket,
                Key=key,
                Body=body,
                ContentType="image/jpeg",
            )
        except s3.exceptions.ClientError as error:
            raise explain(error, f"uploading {key}") from error

    def _good(self) -> Iterator[Check]:
        key = self.key("good")
        ended = self._until("good image", partial(self._ended, key, "done"))
        yield ended
        if ended.state != "came":
            return
        row = self._row(key) or {}
        wanted = self._variants(key)
        lost = [name for name in wanted if name not in row["outputs"]]
        gone = [
            name for name, made in row["outputs"].items() if not is_there(self.project, made["key"])
        ]
        if lost or gone:
            yield self._check("its outputs", "missing", f"{', '.join(lost + gone)} not there")
        else:
            yield self._check("its outputs", "came", ", ".join(row["outputs"]) or "none declared")
        steps = row["steps"]
        yield self._check("its row", "came", f"{len(steps)} steps done: {', '.join(steps)}")

    def _variants(self, key: str) -> list[str]:
        """Return the variants that pipeline.yaml declares for this key."""
        return [
            variant
            for branch in branches.creators(self.project.graph)
            for step in branches.steps_for(branch, key)
            for variant in branches.settings_of(branch).steps.get(step, {}).get("variants") or {}
        ]

    def _poison(self) -> Iterator[Check]:
        key = self.key("poison")
        ended = self._until("poison image", partial(self._ended, key, "rejected"))
        yield ended
        if ended.state == "came":
            reason = str((self._row(key) or {}).get("reason", ""))
            known = reason in set(Reason)
            yield self._check("its reason", "came" if known else "missing", reason or "none")
        yield self._until("its dead letter", partial(self._rejected, key))

    def _ended(self, key: str, wanted: str) -> tuple[bool, str]:
        row = self._row(key)
        if row is None:
            return False, "no row yet"
        told = row["status"].replace("_", " ")
        reason = f": {row['reason']}" if row.get("reason") else ""
        return row["status"] == wanted, f"{told}{reason}"

    def _row(self, key: str) -> rows.Row | None:
        return rows.by_keys(self.project, [key], consistent=True).get(key)

    def _rejected(self, key: str) -> tuple[bool, str]:
        homes = [home for home in queues.homes(self.project.graph) if home.holds_rejected]
        found = [it for it in find.letters(self.project, homes) if it.key == key]
        return bool(found), f"{len(found)} in rejected" if found else "none in rejected"

    def _send_letter(self) -> None:
        """Put a letter about no image where a branch's dead letters go."""
        home = next(it for it in queues.homes(self.project.graph) if it.steps)
        self._letter = (home.url, "")
        self._rang = self._alarm()[0]
        body = json.dumps({"imgpipe": "selftest", "id": self.id})
        answer = self.project.cloud.client("sqs").send_message(QueueUrl=home.url, MessageBody=body)
        self._letter = (home.url, answer["MessageId"])

    def _take_letter(self) -> None:
        from imgpipe.operate.dlq import mover

        url, wanted = self._letter or ("", "")
        homes = [it for it in queues.homes(self.project.graph) if it.url == url]
        letters = [it for it in find.letters(self.project, homes) if it.id == wanted]
        for _ in mover.purge(self.project, homes, letters):
            pass

    def _alarm(self) -> tuple[bool, str]:
        """Return whether the alarm on the letter's queue went off and tells somebody."""
        queue = (self._letter or ("",))[0].rpartition("/")[2]
        declared = [
            it.name
            for it in self.project.graph.of(Alarm)
            if ("QueueName", queue) in it.dimensions and it.namespace == "AWS/SQS"
        ]
        if not declared:
            return False, f"pipeline.yaml declares none for {queue}"
        answer = self.project.cloud.client("cloudwatch").describe_alarms(AlarmNames=declared)
        found = answer["MetricAlarms"]
        if not found:
            return False, f"{declared[0]} is not there"
        went_off = [it for it in found if it["StateValue"] == "ALARM"]
        if not went_off:
            return False, f"{declared[0]} is {found[0]['StateValue']}"
        if not (went_off[0]["ActionsEnabled"] and went_off[0]["AlarmActions"]):
            return False, f"{declared[0]} went off and tells nobody"
        topic = went_off[0]["AlarmActions"][0].rpartition(":")[2]
        verb = "was off before, and tells" if self._rang else "went off and told"
        return True, f"{declared[0]} {verb} topic {topic}"

    def _until(
        self, name: str, ask: Callable[[], tuple[bool, str]], timeout_s: float | None = None
    ) -> Check:
        """Ask until it has come; at the end of the time, say what was seen last."""
        ends = self._began + (self.timeout_s if timeout_s is None else timeout_s)
        while True:
            came, seen = ask()
            if came:
                return self._check(name, "came", seen)
            if self.now() >= ends:
                return self._check(name, "missing", seen)
            self.sleep(0.5)

    def _check(self, name: str, state: Literal["came", "missing", "skipped"], seen: str) -> Check:
        ms = round((self.now() - self._began) * 1000)
        return Check(name=name, state=state, seen=seen, ms=ms)
