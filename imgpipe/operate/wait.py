"""Waiting for the end of just the versions that were uploaded: done, rejected, failed, or pending
at the timeout.

The row says it, except in three cases: a function that was killed tells nobody, so dead letters are
asked too; a version that a newer upload replaced, or that was removed, never gets a row of its own,
so S3 is asked whether it is still the current one. Each is asked only when the row has kept silent
for a while.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from imgpipe.cloud import error_code
from imgpipe.operate import parallel, rows
from imgpipe.operate.dlq import causes, find, queues
from imgpipe.operate.times import from_iso
from imgpipe.operate.upload.send import Sent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from imgpipe.operate.dlq.letters import Letter
    from imgpipe.operate.project import Project
    from imgpipe.operate.upload.sources import NotSent

Status = Literal["done", "rejected", "failed", "pending"]
MAX_ON_THE_WAY = 1000
"""Uploads pause above this many images that have not ended: it bounds memory and the cost of asking."""
ASK_AT_ONCE = 200
SHORTEST_POLL_S, LONGEST_POLL_S = 0.1, 1.0
PAUSE_PER_IMAGE_S = 0.004
"""Asking about many costs the table and this machine more, so it is done less often."""
SUSPICIOUS_S = 3.0
"""How long a row may keep silent before dead letters and S3 are asked."""
READ_AGAIN_S = 30.0
_FINAL: Mapping[str, Status] = {"done": "done", "rejected": "rejected", "failed": "failed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How an image ended. `ms` is from the upload to the row's last change, or to when this was noticed."""

    key: str
    status: Status
    reason: str | None = None
    outputs: Mapping[str, Any] = field(default_factory=dict)
    ms: int | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "status": self.status,
            "reason": self.reason,
            "outputs": dict(self.outputs),
            "ms": self.ms,
        }


@dataclass(slots=True)
class _Awaited:
    sent: Sent
    since: float
    deadline: float


@dataclass(frozen=True, slots=True)
class Clock:
    """Time as `wait` needs it, so that tests can have their own."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class Waiting:
    """The images that are on their way. `poll` asks about those next in turn and returns what ended."""

    def __init__(self, project: Project, timeout_s: float, clock: Clock) -> None:
        self._project, self._timeout_s, self._clock = project, timeout_s, clock
        self._on_the_way: dict[str, _Awaited] = {}
        self._homes = [home for home in queues.homes(project.graph) if not home.holds_rejected]
        self._asked_at = clock.now()
        self._letters_seen = 0
        self._letters_read_at = clock.now()

    def __len__(self) -> int:
        return len(self._on_the_way)

    def add(self, sent: Sent) -> None:
        now = self._clock.now()
        self._on_the_way[sent.key] = _Awaited(sent, now, now + self._timeout_s)

    def poll(self) -> list[Ended]:
        """Return the images that ended since the last time, whatever told of it."""
        asked = list(islice(self._on_the_way, ASK_AT_ONCE))
        known = rows.by_keys(self._project, asked)
        ended = [self._by_row(self._on_the_way[key], known.get(key)) for key in asked]
        found = self._drop([image for image in ended if image])
        self._put_last(asked)
        if self._clock.now() - self._asked_at >= SUSPICIOUS_S:
            found += self._ask_others()
            self._asked_at = self._clock.now()
        return found + self._drop(self._overdue())

    def _drop(self, ended: list[Ended]) -> list[Ended]:
        for image in ended:
            self._on_the_way.pop(image.key, None)
        return ended

    def _put_last(self, keys: Iterable[str]) -> None:
        """Let others be asked about next time, so that images that never end don't hide those that do."""
        for key in keys:
            if key in self._on_the_way:
                self._on_the_way[key] = self._on_the_way.pop(key)

    def _by_row(self, awaited: _Awaited, row: Mapping[str, Any] | None) -> Ended | None:
        if row is None or not _same_version(awaited.sent, row) or row["status"] not in _FINAL:
            return None
        return Ended(
            key=awaited.sent.key,
            status=_FINAL[row["status"]],
            reason=row.get("reason"),
            outputs=row["outputs"],
            ms=_row_ms(row) or self._waited_ms(awaited),
        )

    def _waited_ms(self, awaited: _Awaited) -> int:
        return round((self._clock.now() - awaited.since) * 1000)

    def _overdue(self) -> list[Ended]:
        now = self._clock.now()
        return [
            Ended(key=key, status="pending", reason="timeout", ms=self._waited_ms(awaited))
            for key, awaited in self._on_the_way.items()
            if now >= awaited.deadline
        ]

    def _ask_others(self) -> list[Ended]:
        silent = [
            it for it in self._on_the_way.values() if self._clock.now() - it.since >= SUSPICIOUS_S
        ]
        if not silent:
            return []
        letters: dict[str | None, list[Letter]] = {}
        for letter in self._failed_letters():
            letters.setdefault(letter.key, []).append(letter)
        failed = [self._by_letter(it, letters.get(it.sent.key, ())) for it in silent]
        found = self._drop([image for image in failed if image])
        rest = [awaited for awaited in silent if awaited.sent.key in self._on_the_way]
        # One call an image: only those that wait longest, a few at a time.
        replaced = [self._by_object(awaited) for awaited in rest[:5]]
        return found + self._drop([image for image in replaced if image])

    def _failed_letters(self) -> list[Letter]:
        """Return the dead letters, unless there are just as many as when they were read a moment ago."""
        sqs, now = self._project.cloud.client("sqs"), self._clock.now()
        count = sum(
            parallel.together(*(partial(find.waiting, sqs, home.url) for home in self._homes))
        )
        if count == 0 or (
            count == self._letters_seen and now - self._letters_read_at < READ_AGAIN_S
        ):
            return []
        self._letters_seen, self._letters_read_at = count, now
        return causes.explained(self._project, find.letters(self._project, self._homes))

    def _by_letter(self, awaited: _Awaited, letters: Iterable[Letter]) -> Ended | None:
        for letter in letters:
            if letter.version_id in (None, awaited.sent.version_id):
                told = ": ".join(filter(None, (letter.error, letter.reason)))
                why = told or f"a dead letter in {letter.queue}"
                return Ended(
                    key=awaited.sent.key, status="failed", reason=why, ms=self._waited_ms(awaited)
                )
        return None

    def _by_object(self, awaited: _Awaited) -> Ended | None:
        s3, key = self._project.cloud.client("s3"), awaited.sent.key
        try:
            current = s3.head_object(Bucket=self._project.graph.uploads_bucket, Key=key)
        except s3.exceptions.ClientError as error:
            if error_code(error) not in {"404", "NoSuchKey"}:
                raise
            return Ended(key=key, status="failed", reason="removed", ms=self._waited_ms(awaited))
        if awaited.sent.version_id in (None, current.get("VersionId")):
            return None
        return Ended(key=key, status="failed", reason="superseded", ms=self._waited_ms(awaited))


def follow(
    project: Project, events: Iterable[Sent | NotSent], timeout_s: float, clock: Clock | None = None
) -> Iterator[Sent | NotSent | Ended]:
    """Pass on the outcomes of uploads as they come, and the end of each image that was sent."""
    ticking = clock or Clock()
    waiting = Waiting(project, timeout_s, ticking)
    next_poll = ticking.now() + SHORTEST_POLL_S
    for event in events:
        yield event
        if isinstance(event, Sent):
            waiting.add(event)
        if ticking.now() >= next_poll:
            yield from waiting.poll()
            next_poll = ticking.now() + LONGEST_POLL_S
        yield from _until(waiting, MAX_ON_THE_WAY, ticking)
    yield from _until(waiting, 0, ticking)


def _until(waiting: Waiting, enough: int, clock: Clock) -> Iterator[Ended]:
    """Poll until at most `enough` images are on the way: often at first, less often while nothing ends."""
    pause = SHORTEST_POLL_S
    while len(waiting) > enough:
        ended = waiting.poll()
        yield from ended
        if len(waiting) > enough:
            clock.sleep(pause)
            soon = SHORTEST_POLL_S + min(len(waiting), ASK_AT_ONCE) * PAUSE_PER_IMAGE_S
            pause = soon if ended else min(max(soon, pause * 1.5), LONGEST_POLL_S)


def _same_version(sent: Sent, row: Mapping[str, Any]) -> bool:
    return bool(
        row["version_id"] == sent.version_id if sent.version_id else row["etag"] == sent.etag
    )


def _row_ms(row: Mapping[str, Any]) -> int | None:
    uploaded, updated = from_iso(row["uploaded_at"]), from_iso(row["updated_at"])
    if uploaded is None or updated is None or updated < uploaded:
        return None
    return round((updated - uploaded).total_seconds() * 1000)
