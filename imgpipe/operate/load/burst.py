"""The burst itself: uploads at a rate, each followed to its end, while the queues are watched."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from imgpipe.operate import parallel, wait, watch
from imgpipe.operate.upload.media_types import content_type
from imgpipe.operate.upload.send import Sent, digest
from imgpipe.operate.upload.sources import NotSent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from imgpipe.operate.project import Project
    from imgpipe.operate.wait import Ended
    from imgpipe.operate.watch import Sample

FOLDER = "load"
SAMPLE_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`rate` is uploads a second (None: as fast as `concurrency` at once can send)."""

    pictures: Sequence[tuple[str, bytes]]
    images: int
    rate: float | None = None
    concurrency: int = 16
    timeout_s: float = 600.0
    name: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ"))


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload of the burst: when it was due, begun and confirmed, by this machine's clock."""

    sent: Sent
    due_at: datetime
    sent_at: datetime
    upload_s: float


@dataclass(slots=True)
class Burst:
    """A burst that runs while its `events` are taken; what it saw is in the other fields."""

    project: Project
    plan: Plan
    uploads: dict[str, Upload] = field(default_factory=dict)
    ended: dict[str, Ended] = field(default_factory=dict)
    not_sent: list[NotSent] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    seconds: float = 0.0

    @property
    def prefix(self) -> str:
        """Return what all keys of the burst begin with."""
        return f"{self.project.graph.prefix}{FOLDER}/{self.plan.name}/"

    def events(self) -> Iterator[Sent | NotSent | Ended]:
        """Send, follow and watch; yield each upload and each end as it comes."""
        over = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(over,), daemon=True)
        started = time.monotonic()
        self.started_at = datetime.now(UTC)
        watcher.start()
        try:
            for event in wait.follow(self.project, self._send(started), self.plan.timeout_s):
                if isinstance(event, NotSent):
                    self.not_sent.append(event)
                elif not isinstance(event, Sent):
                    self.ended[event.key] = event
                self.seconds = time.monotonic() - started
                yield event
        finally:
            over.set()
            watcher.join(timeout=30)

    def _watch(self, over: threading.Event) -> None:
        def pause(seconds: float) -> None:
            over.wait(seconds)

        for sample in watch.samples(self.project, SAMPLE_S, None, sleep=pause):
            self.samples.append(sample)
            if over.is_set():
                return

    def _send(self, started: float) -> Iterator[Sent | NotSent]:
        from imgpipe.operate.load import pictures

        stream = enumerate(pictures.stream(self.plan.pictures, self.plan.images))
        jobs = ((self._due(number, started), *picture) for number, picture in stream)
        yield from parallel.stream(self._one, jobs, self.plan.concurrency)

    def _due(self, number: int, started: float) -> float:
        return started + number / self.plan.rate if self.plan.rate else time.monotonic()

    def _one(self, job: tuple[float, str, bytes]) -> Sent | NotSent:
        """Send one when it is due. A burst goes on without what S3 wouldn't take; it is counted."""
        from botocore.exceptions import BotoCoreError, ClientError

        due, name, data = job
        time.sleep(max(0.0, due - time.monotonic()))
        late_s = max(0.0, time.monotonic() - due)
        key = self.prefix + name
        begun = time.monotonic()
        try:
            answer = self._put(key, data)
        except (BotoCoreError, ClientError) as error:
            return NotSent(name, key, "refused", str(error))
        now = datetime.now(UTC)
        sent = Sent(name, key, answer.get("VersionId"), answer["ETag"].strip('"'), len(data))
        took = time.monotonic() - begun
        due_at = datetime.fromtimestamp(now.timestamp() - took - late_s, UTC)
        self.uploads[key] = Upload(sent, due_at, now, took)
        return sent

    def _put(self, key: str, data: bytes) -> dict[str, Any]:
        answer: dict[str, Any] = self.project.cloud.client("s3").put_object(
            Bucket=self.project.graph.uploads_bucket,
            Key=key,
            Body=data,
            ContentType=content_type(key),
            ChecksumSHA256=digest(data),
        )
        return answer
