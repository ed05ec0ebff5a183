"""What every image function does with an invocation: open each upload, hand its bytes to the image
core, store what was made, and say how it ended.

The core works in a child process (`imgpipe.runtime.guard`), so what a picture does to its decoder is
an outcome of that picture, and the rest of the batch goes on.

The order is the promise: outputs first, then (for a rejected upload) the letter to the `rejected`
queue, then the results, then the acknowledgement. A function that is killed anywhere leaves its
message unacknowledged; the next attempt writes the same keys again.

An event is a hint. One GetObject opens the current object and tells its version before a byte of
the body is read (so no HeadObject is needed, and no upload can slip in between the two): gone, or
replaced by a version that has its own event, it is left alone. What an earlier attempt, that died
before it could say so, may have stored of it is reported, so that it is tidied.
"""

from __future__ import annotations

import json
import math
import os
import re
import time
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from imgpipe.runtime import batch, events, labels, lane, log, naming, results
from imgpipe.runtime.errors import Malformed, Reason, Rejected, Transient, megabytes
from imgpipe.runtime.job import Job, from_change
from imgpipe.runtime.made import extension
from imgpipe.runtime.matching import matches
from imgpipe.runtime.results import Output, Problem, StepResult
from imgpipe.runtime.settings import Settings, code_hash, from_environment, within_memory
from imgpipe.runtime.store import Outgoing, Source, Store, shared

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from imgpipe.runtime.events import Change, Message
    from imgpipe.runtime.made import Made, Make, Picture

AFTERWARDS_S = 3.0
"""Kept of a function's time, or a fifth of it if that is less, for what comes after the image work:
storing, reporting, answering.
"""
_NOT_IN_XML = "[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]"
"""Compiled when it is needed, by few functions ever: that takes 5 ms of a cold start."""


def run(
    event: dict[str, Any],
    context: Any,
    make: Make,
    *,
    store: Store | None = None,
    settings: Settings | None = None,
) -> batch.Response:
    """Serve one invocation.

    Returns the messages that must come back; raises when a direct one failed.
    """
    told = settings or from_environment()
    worker = _Worker(
        store=store or shared(),
        settings=replace(told, limits=within_memory(told.limits)),
        make=_isolated(make) if told.limits.isolate else make,
        request_id=str(getattr(context, "aws_request_id", "")),
        time_left_s=_time_left_s(context),
    )
    return batch.run(events.messages(event, worker.request_id), worker.message)


def _isolated(make: Make) -> Make:
    from imgpipe.runtime.guard import guarded  # who does without needn't import it

    return guarded(make)


def _time_left_s(context: Any) -> Callable[[], float]:
    """Return what tells how long image work may take before Lambda ends the function and all it
    holds.
    """
    left_ms = getattr(context, "get_remaining_time_in_millis", None)
    if left_ms is None:
        return lambda: math.inf
    kept_s = min(AFTERWARDS_S, left_ms() / 1000 / 5)
    return lambda: left_ms() / 1000 - kept_s


def report_broken(
    messages: Sequence[Message], error: Exception, store: Store, settings: Settings, request_id: str
) -> None:
    """Tell the rows of every upload in `messages` that the function broke before it worked on them."""
    worker = _Worker(store=store, settings=settings, make=_unreachable, request_id=request_id)
    for message in messages:
        for change in _wanted(message, settings.on):
            job = worker.job(change, message)
            worker.say(job.failure(error, log.now(), 0))


def _unreachable(*_: Any) -> Mapping[str, Made]:
    raise AssertionError("a broken function makes no pictures")


def _wanted(message: Message, on: str) -> list[Change]:
    """Return what `message` tells of; nothing if it can't be read, which is its own trouble."""
    try:
        found = events.changes(message.document())
    except Malformed:
        return []
    return [change for change in found if change.kind == on]


@dataclass(frozen=True, slots=True)
class _Worker:
    store: Store
    settings: Settings
    make: Make
    request_id: str
    time_left_s: Callable[[], float] = lambda: math.inf

    def message(self, message: Message) -> None:
        """Work on every change in `message`, also after one failed; raise the first failure."""
        failures: list[Exception] = []
        found = events.changes(message.document())
        for change in found:
            if change.kind != self.settings.on:
                continue
            try:
                self.change(change, message, alone=len(found) == 1)
            except Exception as error:  # noqa: BLE001 - the other changes still get their outcome
                failures.append(error)
        if failures:
            raise failures[0]

    def job(self, change: Change, message: Message) -> Job:
        return from_change(
            change,
            message,
            self.settings,
            code_hash=code_hash(),
            request_id=self.request_id,
            nonce=os.urandom(4).hex(),
        )

    def change(self, change: Change, message: Message, *, alone: bool) -> None:
        """Bring one upload to an end and say so, or say what went wrong and raise it."""
        job = self.job(change, message)
        self._log_start(job)
        if not self._is_ours(change):
            log.line("skipped", key=change.key, why="another step's")
            return
        started = time.monotonic()
        try:
            job, source = self._open(job, change)
            if source is None:
                return
            letter = _letter(change, message, alone=alone)
            with closing(source):
                if self.settings.lane.queue_url and lane.is_for(self.settings.lane, source):
                    self._hand_over(job, letter)
                    return
                said = self._attempt(job, source, letter, started)
        except Exception as error:
            self.say(job.failure(error, log.now(), _ms_since(started)))
            raise
        self.say(said)

    def _hand_over(self, job: Job, letter: str) -> None:
        """Give an upload to those who have more room. It is acknowledged here only when it lies there."""
        self.store.send(self.settings.lane.queue_url, [Outgoing(letter)])
        log.line("handed over", key=job.origin.key, size=job.origin.size)

    def _is_ours(self, change: Change) -> bool:
        """Whether this function's steps, which agree about it, work on such a key."""
        rules = [
            rule for step, rule in self.settings.matches.items() if step in self.settings.steps
        ]
        keys = [change.key, change.alternative_key or change.key]
        return all(any(matches(rule, key) for key in keys) for rule in rules)

    def _open(self, job: Job, change: Change) -> tuple[Job, Source | None]:
        """Open the upload; no source if it is gone, or if a newer version took its place."""
        key = change.key
        source = self.store.open(change.bucket, key)
        if source is None and change.alternative_key:
            key = change.alternative_key
            source = self.store.open(change.bucket, key)
        if source is None:
            self._skip(job, Reason.OBJECT_GONE.value)
            return job, None
        if change.version_id and source.version_id and change.version_id != source.version_id:
            source.close()
            self._skip(job, "superseded")
            return job, None
        return job.reading(key, source), source

    def _attempt(self, job: Job, source: Source, letter: str, started: float) -> list[StepResult]:
        try:
            made = self._make(source)
        except Rejected as refusal:
            self._reject(job, refusal, letter)
            return self._refusals(job, refusal, _ms_since(started))
        return self._store(job, made, started)

    def _make(self, source: Source) -> Mapping[str, Made]:
        limit = self.settings.limits.max_bytes
        if not source.size:
            raise Rejected(Reason.EMPTY_FILE)
        if source.size > limit:
            raise Rejected(
                Reason.TOO_LARGE, f"{megabytes(source.size)}; the limit is {megabytes(limit)}"
            )
        data = source.read()
        try:
            return self._made_in_time(data)
        except MemoryError as error:
            raise Rejected(Reason.MEMORY_LIMIT) from error

    def _made_in_time(self, data: bytes) -> Mapping[str, Made]:
        """Do the image work. Raises Transient when this invocation, not the limit, was too short:

        the picture may be fine, and gets its whole time when it comes back.
        """
        limits, left_s = self.settings.limits, self.time_left_s()
        if left_s <= 0:
            raise Transient("the function's time was used up by the images before")
        known = limits if math.isinf(left_s) else replace(limits, wall_s=left_s)
        return self.make(data, self.settings.steps, known)

    def _store(self, job: Job, made: Mapping[str, Made], started: float) -> list[StepResult]:
        done = []
        for step in self.settings.steps:
            product = made[step]
            outputs = {
                variant: self._put(self._output_key(job, step, variant, picture.format), picture)
                for variant, picture in product.variants.items()
            }
            ms = _ms_since(started)
            facts = labels.facts(product, self.store)
            facts.update(naming.note(job.origin.key, facts))
            done.append(job.result(step, "done", log.now(), ms=ms, outputs=outputs, facts=facts))
        return done

    def _put(self, key: str, picture: Picture) -> Output:
        self.store.put(self.settings.variants_bucket, key, picture.data, picture.content_type)
        return Output(
            key=key,
            width=picture.width,
            height=picture.height,
            bytes=len(picture.data),
            format=picture.format,
        )

    def _reject(self, job: Job, refusal: Rejected, body: str) -> None:
        letter = Outgoing(
            body=body,
            attributes={
                "branch": self.settings.function,
                "step": ",".join(self.settings.steps),
                "key": _attribute_text(job.origin.key),
                "version_id": job.origin.version_id or "",
                "reason": refusal.reason.value,
                "message": _attribute_text(refusal.message)[:500],
                "settings_hash": self.settings.settings_hash,
                "code_hash": job.code_hash,
                "first_seen": job.message.sent_at or log.now(),
                "receives": str(job.message.receives),  # the tenth: SQS takes no more
            },
        )
        self.store.send(self.settings.rejected_queue_url, [letter])
        if refusal.detail:
            log.line("refused", key=job.origin.key, reason=refusal.reason, detail=refusal.detail)

    def _refusals(self, job: Job, refusal: Rejected, ms: int) -> list[StepResult]:
        problem = Problem(kind="Rejected", message=refusal.message, reason=refusal.reason.value)
        at = log.now()
        return [
            job.result(step, "rejected", at, ms=ms, problem=problem) for step in self.settings.steps
        ]

    def say(self, said: Sequence[StepResult]) -> None:
        bodies = [Outgoing(results.dumps(result.document())) for result in said]
        if bodies:
            self.store.send(self.settings.results_queue_url, bodies)
        for result in said:
            log.line(result.status, key=result.origin.key, step=result.step, ms=result.ms)

    def _log_start(self, job: Job) -> None:
        log.line(
            "start",
            message_id=job.message.id,
            key=job.origin.key,
            step=",".join(self.settings.steps),
            version_id=job.origin.version_id,
            receives=job.message.receives,
        )

    def _skip(self, job: Job, why: str) -> None:
        log.line("skipped", key=job.origin.key, version_id=job.origin.version_id, why=why)
        left = [
            self._output_key(job, step, variant, str((settings or {}).get("format", "jpeg")))
            for step, chosen in self.settings.steps.items()
            for variant, settings in (chosen.get("variants") or {}).items()
        ]
        if left:
            report = results.dumps(results.orphans(job.origin.key, left))
            self.store.send(self.settings.results_queue_url, [Outgoing(report)])

    def _output_key(self, job: Job, step: str, variant: str, image_format: str) -> str:
        origin, step_hash = job.origin, str(self.settings.steps[step].get("hash", ""))
        version = results.content_version(origin.version_id, origin.sequencer, step_hash)
        folder = f"{self.settings.variants_prefix}{variant}"
        return results.output_key(
            folder, origin.key, self.settings.prefix, version, extension(image_format)
        )


def _letter(change: Change, message: Message, *, alone: bool) -> str:
    """Return what goes to the `rejected` queue:

    the message as it came or, of several changes, this one alone.
    """
    if alone:
        return message.body
    record = change.record
    return json.dumps(record if "detail" in record else {"Records": [record]})


def _attribute_text(text: str) -> str:
    """Return `text` as SQS takes it: without the characters that XML can't hold."""
    return re.sub(_NOT_IN_XML, "\N{REPLACEMENT CHARACTER}", text)


def _ms_since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
