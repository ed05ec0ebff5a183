"""The one mover of dead letters, for all their kinds: send, then delete. And the purge, which only
deletes.

It works on a snapshot: only letters whose ids were chosen before it began are touched, so one that
fails again at once, and comes back as a new letter, is not moved in a circle. Killed between
sending and deleting, it has sent a letter that is still there: running again sends it twice, which
every step takes as once, and nothing is ever lost. What it holds and doesn't move is shown again at
the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

from imgpipe.cloud import explain
from imgpipe.operate import parallel
from imgpipe.operate.dlq import find
from imgpipe.operate.dlq.letters import Home, Letter
from imgpipe.operate.dlq.route import NoWay, Route, ToFunction, ToQueue

if TYPE_CHECKING:
    from imgpipe.operate.project import Project

WORKERS = 8


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a letter. `gone`: somebody else holds it, moved it or deleted it meanwhile."""

    letter: Letter
    status: Literal["moved", "deleted", "left", "failed", "gone"]
    to: str = ""
    why: str = ""


Act = Callable[[Letter], Outcome]
"""Does what must come before a letter is deleted. An outcome of `failed` keeps the letter."""


def redrive(
    project: Project, homes: Sequence[Home], routes: Sequence[tuple[Letter, Route]]
) -> Iterator[Outcome]:
    """Move each letter along its route; yield what became of it, as it happens."""
    ways: dict[str, ToQueue | ToFunction] = {}
    letters: list[Letter] = []
    for letter, way in routes:
        if isinstance(way, NoWay):
            yield Outcome(letter, "left", "", way.why)
        else:
            ways[letter.id] = way
            letters.append(letter)
    yield from each(project, homes, letters, lambda letter: _send(project, letter, ways[letter.id]))


def purge(project: Project, homes: Sequence[Home], letters: Sequence[Letter]) -> Iterator[Outcome]:
    """Delete each letter for good."""
    yield from each(project, homes, letters, lambda letter: Outcome(letter, "deleted"))


def each(
    project: Project, homes: Sequence[Home], letters: Sequence[Letter], act: Act
) -> Iterator[Outcome]:
    """Meet each letter in its queue, do `act`, then delete it; yield what became of it."""
    known = {home.name: home for home in homes}
    by_queue = groupby(
        sorted(letters, key=lambda letter: letter.queue), key=lambda letter: letter.queue
    )
    for queue, some in by_queue:
        yield from _empty(
            project.cloud.client("sqs"), known[queue], {it.id: it for it in some}, act
        )


def _empty(sqs: Any, home: Home, wanted: Mapping[str, Letter], act: Act) -> Iterator[Outcome]:
    """Meet each wanted letter in its queue, act, and delete it."""
    missing = dict(wanted)
    receipts: dict[str, str] = {}

    def one(held: tuple[Letter, str]) -> Outcome:
        letter, receipt = held
        outcome = act(letter)
        if outcome.status == "failed":
            return outcome
        try:
            sqs.delete_message(QueueUrl=home.url, ReceiptHandle=receipt)
        except sqs.exceptions.ClientError as error:
            why = f"sent, but its letter could not be deleted and may be sent again: {explain(error, 'it').why}"
            return Outcome(letter, "failed", outcome.to, why)
        receipts.pop(letter.id, None)
        return outcome

    try:
        yield from parallel.stream(one, _held(sqs, home, missing, receipts), WORKERS)
        yield from (Outcome(letter, "gone") for letter in missing.values())
    finally:
        find.release(sqs, home.url, receipts.values())


def _held(
    sqs: Any, home: Home, missing: dict[str, Letter], receipts: dict[str, str]
) -> Iterator[tuple[Letter, str]]:
    """Yield the wanted letters as they are received, with the receipt to delete them by, until none is missing."""
    expected = max(find.waiting(sqs, home.url), len(missing))
    for message in find.receive_all(sqs, home.url, expected, receipts):
        letter = missing.pop(message["MessageId"], None)
        if letter is not None:
            yield letter, message["ReceiptHandle"]
        if not missing:
            return


def _send(project: Project, letter: Letter, way: ToQueue | ToFunction) -> Outcome:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        match way:
            case ToQueue():
                _to_queue(project.cloud.client("sqs"), way)
            case ToFunction():
                _to_function(project.cloud.client("lambda"), way)
    except (BotoCoreError, ClientError) as error:
        return Outcome(letter, "failed", way.branch, str(explain(error, "sending it")))
    return Outcome(letter, "moved", way.branch)


def _to_queue(sqs: Any, way: ToQueue) -> None:
    attributes = {"MessageAttributes": dict(way.attributes)} if way.attributes else {}
    sqs.send_message(QueueUrl=way.url, MessageBody=way.body, **attributes)


def _to_function(functions: Any, way: ToFunction) -> None:
    functions.invoke(FunctionName=way.function, InvocationType="Event", Payload=way.event.encode())
