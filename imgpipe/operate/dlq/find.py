"""Reading dead letters without keeping them from others.

SQS has no way to look: a reader must receive, which hides a message for a while. Each is hidden
only as long as it takes to read the queue through, and shown again at once at the end, also when
the reader is interrupted; killed, the letters come back by themselves. Looking raises SQS's count
of receives, so what is shown is the attempts of the step instead (`Letter.receives`).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from imgpipe.cloud import explain
from imgpipe.errors import MissingError
from imgpipe.operate import parallel
from imgpipe.operate.dlq.letters import Home, Letter, decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from imgpipe.operate.project import Project

BATCH = 10
_SHOWN = "ApproximateNumberOfMessages"
_PATIENCE = 3
"""Empty answers in a row, after which a queue that claims to hold more is believed to be busy elsewhere."""


def letters(project: Project, homes: Sequence[Home]) -> list[Letter]:
    """Return every letter that can be seen in `homes` now, oldest first."""
    sqs = project.cloud.client("sqs")
    found = parallel.together(*(partial(_look, sqs, home) for home in homes))
    return sorted(
        (letter for some in found for letter in some),
        key=lambda letter: (letter.first_seen, letter.id),
    )


def waiting(sqs: Any, url: str) -> int:
    """Return about how many letters a queue shows now; none if it isn't there, which `status` tells."""
    return _numbers(sqs, url, _SHOWN)


def held(sqs: Any, url: str) -> int:
    """Return about how many messages a queue shows, hides and holds back now; none if it isn't there."""
    return _numbers(sqs, url, _SHOWN, f"{_SHOWN}NotVisible", f"{_SHOWN}Delayed")


def hidden(sqs: Any, url: str) -> int:
    """Return about how many messages somebody has received and not given back yet; none if the queue isn't there."""
    return _numbers(sqs, url, f"{_SHOWN}NotVisible")


def _numbers(sqs: Any, url: str, *names: str) -> int:
    try:
        answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(names))
    except sqs.exceptions.ClientError as error:
        known = explain(error, _named(url))
        if isinstance(known, MissingError):
            return 0
        raise known from error
    return sum(int(answer["Attributes"][name]) for name in names)


def _named(url: str) -> str:
    return f"queue {url.rpartition('/')[2]}"


def _look(sqs: Any, home: Home) -> list[Letter]:
    receipts: dict[str, str] = {}
    try:
        seen = receive_all(sqs, home.url, waiting(sqs, home.url), receipts)
        return [decode(home, message) for message in seen]
    except MissingError:
        return []
    finally:
        if receipts:
            release(sqs, home.url, receipts.values())


def receive_all(
    sqs: Any, url: str, expected: int, receipts: dict[str, str]
) -> Iterator[Mapping[str, Any]]:
    """Yield each message once, until no more come. `receipts` is kept up to date: what is hidden because of us.

    Raises CloudError, MissingError where the queue isn't there.
    """
    seen: set[str] = set()
    empty = 0
    while empty < _PATIENCE:
        more_to_come = len(seen) < expected
        batch = _receive(sqs, url, hold_s(expected), wait_s=int(more_to_come and empty > 0))
        receipts.update((message["MessageId"], message["ReceiptHandle"]) for message in batch)
        fresh = [message for message in batch if message["MessageId"] not in seen]
        seen.update(message["MessageId"] for message in fresh)
        yield from fresh
        if fresh:
            empty = 0
        elif more_to_come:
            empty += 1
        else:
            return


def hold_s(count: int) -> int:
    """Return how long to hide letters while a queue of `count` is read, ten a call and five calls a second."""
    return min(30 + count // 50, 3600)


def release(sqs: Any, url: str, receipts: Iterable[str]) -> None:
    """Show letters again. One that was moved or deleted meanwhile is no matter: the service says so, entry by entry.

    Raises CloudError where that is refused: the letters come back by themselves, a little later.
    """
    handles = list(receipts)
    for start in range(0, len(handles), BATCH):
        entries = [
            {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": 0}
            for number, handle in enumerate(handles[start : start + BATCH])
        ]
        try:
            sqs.change_message_visibility_batch(QueueUrl=url, Entries=entries)
        except sqs.exceptions.ClientError as error:
            raise explain(error, _named(url)) from error


def _receive(sqs: Any, url: str, hold: int, wait_s: int) -> list[dict[str, Any]]:
    try:
        answer = sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=BATCH,
            VisibilityTimeout=hold,
            WaitTimeSeconds=wait_s,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
    except sqs.exceptions.ClientError as error:
        raise explain(error, _named(url)) from error
    messages: list[dict[str, Any]] = answer.get("Messages", [])
    return messages
