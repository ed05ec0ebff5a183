"""One image, one function: what was announced, what was read, and what every result of it says.

To follow an image: `events` reads the message, `steps` makes a Job of each change in it and opens
the object, the image core makes the variants, `steps` stores them, and `Job.result` is what the
writer hears.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from imgpipe.runtime import log
from imgpipe.runtime.results import (
    DIRECT_ATTEMPTS,
    Origin,
    Output,
    Problem,
    Status,
    StepResult,
    attempt_id,
)

if TYPE_CHECKING:
    from imgpipe.runtime.events import Change, Message
    from imgpipe.runtime.settings import Settings
    from imgpipe.runtime.store import Source

MAX_MESSAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The work that one change of one object asks of this function, and which attempt at it this
    is.
    """

    settings: Settings
    code_hash: str
    origin: Origin
    message: Message
    attempt_id: str

    @property
    def last_attempt(self) -> bool:
        """Whether the queue gives up after this.

        A direct invocation doesn't know; the row's attempts tell.
        """
        return self.message.queued and self.message.receives >= self.settings.max_receives

    def reading(self, key: str, source: Source) -> Job:
        """Return the job with what was really opened in place of what the event announced."""
        origin = replace(
            self.origin,
            key=key,
            version_id=source.version_id,
            etag=source.etag,
            size=source.size,
            uploaded_at=self.origin.uploaded_at or source.uploaded_at,
        )
        return replace(self, origin=origin)

    def result(
        self,
        step: str,
        status: Status,
        at: str,
        *,
        ms: int = 0,
        outputs: dict[str, Output] | None = None,
        facts: dict[str, Any] | None = None,
        problem: Problem | None = None,
    ) -> StepResult:
        settings = self.settings
        return StepResult(
            origin=self.origin,
            step=step,
            function=settings.function,
            settings_hash=settings.settings_hash,
            step_hash=str(settings.steps[step].get("hash", "")),
            code_hash=self.code_hash,
            status=status,
            attempt_id=self.attempt_id,
            max_attempts=settings.max_receives if self.message.queued else DIRECT_ATTEMPTS,
            at=at,
            ms=ms,
            outputs=outputs or {},
            facts=facts or {},
            problem=problem,
        )

    def failure(self, error: Exception, at: str, ms: int) -> list[StepResult]:
        """Return what each step says of an attempt that may be repeated."""
        problem = Problem(kind=type(error).__name__, message=log.told(error, MAX_MESSAGE))
        status: Status = "failed" if self.last_attempt else "retrying"
        return [
            self.result(step, status, at, ms=ms, problem=problem) for step in self.settings.steps
        ]


def from_change(
    change: Change,
    message: Message,
    settings: Settings,
    *,
    code_hash: str,
    request_id: str,
    nonce: str,
) -> Job:
    """Return the job that `change`, heard in `message`, asks for."""
    origin = Origin(
        key=change.key,
        version_id=change.version_id,
        sequencer=change.sequencer if change.kind == "created" else "",  # the version's own holds
        etag=change.etag,
        size=change.size or 0,
        uploaded_at=change.at,
    )
    return Job(
        settings=settings,
        code_hash=code_hash,
        origin=origin,
        message=message,
        attempt_id=attempt_id(
            message.id, message.receives, queued=message.queued, request_id=request_id, nonce=nonce
        ),
    )
