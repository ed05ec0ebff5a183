"""A plan, carried out: in parallel along its order, one event as each action starts and ends.

When an action fails, what doesn't depend on it still goes on; then the failure is raised. On Ctrl-C nothing new
starts, what runs is finished (a wait ends at once), and KeyboardInterrupt goes on its way. Either way running again
mends: every action is safe to repeat.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal

from botocore.exceptions import ClientError

from imgpipe import cloud
from imgpipe.deploy.plan import Action, Verb
from imgpipe.deploy.providers import provider
from imgpipe.deploy.providers.site import Site, is_absent
from imgpipe.deploy.resources import Key
from imgpipe.errors import ImgpipeError

WORKERS = 16
SETTLE_S = 30
_BUSY = frozenset(
    {
        "OperationAborted",  # S3
        "OperationAbortedException",  # CloudWatch Logs
        "ConcurrentModification",  # IAM
        "ConcurrentModificationException",  # EventBridge
        "ConcurrentAccess",  # SNS
    }
)

State = Literal["started", "note", "done", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to an action. `text` is a note, or why it failed or was skipped."""

    action: Action
    state: State
    ms: int = 0
    text: str = ""


class StoppedError(ImgpipeError):
    """A wait was ended because a person interrupted."""


def apply(
    site: Site,
    actions: Sequence[Action],
    *,
    again: str = "imgpipe up",
    clock: Callable[[], float] = time.monotonic,
    perform: Callable[[Site, Action], None] | None = None,
) -> Generator[Event, None, None]:
    """Carry out the actions that change something and yield what happens.

    Raises the first failure when all that could go on has ended; its hint is the command `again`.
    `perform` does one action; tests bring their own.
    """
    run = _Run(site, [action for action in actions if action.changes], clock, perform or execute)
    yield from run.events()
    if run.failures:
        raise _summary(run.failures, again)


def execute(site: Site, action: Action) -> None:
    """Do one action through its provider, again while AWS has yet to settle; translate what the SDK raises."""
    try:
        site.patiently(
            lambda: _act(site, action),
            lambda error: _will_pass(action, error),
            "AWS has yet to settle: waiting",
            deadline_s=SETTLE_S,
        )
    except Exception as error:
        raise cloud.explain(error, f"{action.verb} {action.key}") from error


def _act(site: Site, action: Action) -> None:
    maker = provider(site, action.key.kind)
    match action.verb:
        case Verb.CREATE:
            maker.create(action.resource)
        case Verb.UPDATE:
            maker.update(action.resource, action.before or action.resource)
        case Verb.DELETE:
            maker.delete(action.resource)
        case Verb.KEEP:
            pass


def _will_pass(action: Action, error: ClientError) -> bool:
    """Tell whether a refusal may only mean that AWS is eventually consistent.

    What was made a moment ago, by this action or by one before it, isn't there yet for the service that answers; or it
    is still busy with the change before. What a provider knows to be slower it waits for itself.
    """
    if cloud.error_code(error) in _BUSY:
        return True
    return action.verb is not Verb.DELETE and is_absent(error)


class _Run:
    """One application of a plan: what is waiting, what runs, what is done. Lives in the caller's thread."""

    def __init__(
        self,
        site: Site,
        actions: Sequence[Action],
        clock: Callable[[], float],
        perform: Callable[[Site, Action], None],
    ) -> None:
        self._site, self._clock, self._perform = site, clock, perform
        self._waiting = {action.key: action for action in actions}
        self._undone = set(self._waiting)
        self._running = 0
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.failures: list[tuple[Action, ImgpipeError]] = []
        self._stop = threading.Event()

    def events(self) -> Generator[Event, None, None]:
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="apply") as pool:
            try:
                self._start_ready(pool)
                while self._running:
                    event = self._events.get()
                    self._note(event)
                    yield event
                    self._start_ready(pool)
                yield from self._skipped()
            except BaseException:
                self._stop.set()
                raise

    def _start_ready(self, pool: ThreadPoolExecutor) -> None:
        for key, action in list(self._waiting.items()):
            if not action.after & self._undone:
                del self._waiting[key]
                self._running += 1
                pool.submit(self._do, action)

    def _do(self, action: Action) -> None:
        """Do one action, in a thread of the pool. What it raises becomes an event, or the run would never end."""
        if self._stop.is_set():
            return
        started = self._clock()

        def tell(state: State, text: str = "") -> None:
            self._events.put(Event(action, state, round((self._clock() - started) * 1000), text))

        tell("started")
        site = replace(self._site, say=lambda text: tell("note", text), pause=self._pause)
        try:
            self._perform(site, action)
        except ImgpipeError as error:
            self.failures.append((action, error))
            tell("failed", str(error))
        except BaseException as error:  # noqa: BLE001 - told to the thread that waits
            self.failures.append((action, cloud.explain(error, str(action.key))))
            tell("failed", str(error))
        else:
            tell("done")

    def _note(self, event: Event) -> None:
        if event.state in {"done", "failed"}:
            self._running -= 1
        if event.state == "done":
            self._undone.discard(event.action.key)

    def _skipped(self) -> Generator[Event, None, None]:
        for action in self._waiting.values():
            yield Event(action, "skipped", text="something that it needs failed")

    def _pause(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise StoppedError("interrupted", "while waiting")


def _summary(failures: list[tuple[Action, ImgpipeError]], again: str) -> ImgpipeError:
    """Return the first failure as it is, with what to run and how many more there are."""
    _, first = failures[0]
    more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
    hint = first.hint or f"{again}: it goes on where it stopped"
    told = type(first)(first.what, first.why + more, hint=hint)
    told.__cause__ = first.__cause__ or first
    return told


def critical_path(events: Sequence[Event]) -> tuple[int, list[Key]]:
    """Return the longest chain of finished actions, by their times: its length in ms and its keys, first to last."""
    finished = {event.action.key: event for event in events if event.state == "done"}
    longest: dict[Key, tuple[int, list[Key]]] = {}
    for (
        key,
        event,
    ) in finished.items():  # in the order in which they ended: after all that they waited for
        before = max(
            (longest[need] for need in event.action.after if need in longest), default=(0, [])
        )
        longest[key] = (before[0] + event.ms, [*before[1], key])
    return max(longest.values(), default=(0, []))
