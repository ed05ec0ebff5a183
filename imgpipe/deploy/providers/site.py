"""What every provider works with: clients, the place, our tags, and patience with a cloud that settles slowly.

A provider is made anew for each action, so that what it says (`say`) and how it pauses (`pause`) belong to that
action: a pause ends at once when a person interrupts. Providers let the SDK's exceptions through; `apply` and
`observe` translate them, because they know which resource was meant.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from botocore.exceptions import ClientError

from imgpipe.cloud import error_code
from imgpipe.errors import CloudError

if TYPE_CHECKING:
    from imgpipe.deploy.resources import Function, Place

T = TypeVar("T")


class Clients(Protocol):
    """The part of `imgpipe.cloud.Cloud` that providers use."""

    def client(self, service: str) -> Any: ...


class Archive(Protocol):
    """A function's zip on disk. `sha256_base64` is what Lambda calls CodeSha256."""

    @property
    def path(self) -> Path: ...

    @property
    def sha256_base64(self) -> str: ...


def _no_code(function: Function) -> Archive:
    raise CloudError(f"function {function.name}", "its code was not built")


@dataclass(frozen=True, slots=True)
class Site:
    """Where a pipeline is put up. `prefix` begins the names of all that is ours; `tags` mark it.

    `erase_data` allows deletions to empty buckets first. `archive_of` builds or finds a function's zip.
    """

    clients: Clients
    place: Place
    prefix: str
    tags: Mapping[str, str]
    archive_of: Callable[[Function], Archive] = _no_code
    erase_data: bool = False
    say: Callable[[str], None] = lambda _text: None
    pause: Callable[[float], None] = time.sleep

    def client(self, service: str) -> Any:
        return self.clients.client(service)

    @property
    def tag_list(self) -> list[dict[str, str]]:
        """Return our tags in the form that most services take: `Key` and `Value`."""
        return [{"Key": key, "Value": value} for key, value in self.tags.items()]

    def owns(self, tags: Mapping[str, str]) -> bool:
        return all(tags.get(key) == value for key, value in self.tags.items())

    def names(self, name: str) -> bool:
        """Tell whether `name` is one that our pipeline gives."""
        return name.startswith(self.prefix)

    def patiently(
        self,
        call: Callable[[], T],
        passing: Callable[[ClientError], bool],
        reason: str,
        *,
        deadline_s: float = 90,
    ) -> T:
        """Call until it succeeds. A refusal that is `passing` is tried again, up to `deadline_s` of pauses."""
        for turn, delay in enumerate(_delays(deadline_s)):
            try:
                return call()
            except ClientError as error:
                if not passing(error):
                    raise
            if turn == 0:
                self.say(reason)
            self.pause(delay)
        return call()

    def until(
        self,
        reached: Callable[[], bool],
        what: str,
        *,
        deadline_s: float = 300,
        first_s: float = 0.05,
    ) -> None:
        """Wait until `reached`; raise CloudError naming `what` when the deadline has passed."""
        for delay in _delays(deadline_s, first_s):
            if reached():
                return
            self.pause(delay)
        if not reached():
            raise CloudError(what, f"not there after {deadline_s:.0f} s", hint="imgpipe up")


def _delays(deadline_s: float, first_s: float = 0.5) -> Iterator[float]:
    """Yield growing pauses of at most 5 s that add up to `deadline_s`."""
    spent, delay = 0.0, first_s
    while spent < deadline_s:
        yield delay
        spent, delay = spent + delay, min(delay * 1.6, 5.0)


_ABSENT = frozenset(
    {
        "404",
        "NotFound",
        "NotFoundException",
        "ResourceNotFoundException",
        "ResourceNotFound",
        "NoSuchCORSConfiguration",
        "NoSuchEntity",
        "NoSuchBucket",
        "NoSuchBucketPolicy",
        "NoSuchLifecycleConfiguration",
        "NoSuchPublicAccessBlockConfiguration",
        "NoSuchTagSet",
        "OwnershipControlsNotFoundError",
        "QueueDoesNotExist",
        "AWS.SimpleQueueService.NonExistentQueue",
        "TableNotFoundException",
        "DashboardNotFoundError",
    }
)


def is_absent(error: ClientError) -> bool:
    """Tell whether AWS says that the thing isn't there, in any of its dialects."""
    return error_code(error) in _ABSENT


def message(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Message", ""))


def found(call: Callable[[], T]) -> T | None:
    """Return the call's answer, or None when the thing isn't there."""
    try:
        return call()
    except ClientError as error:
        if is_absent(error):
            return None
        raise


def gone(call: Callable[[], Any]) -> None:
    """Delete; that it is gone already is as good."""
    found(call)


def last(arn: str) -> str:
    """Return the name at the end of an ARN: of a topic, queue, function or role."""
    return arn.rpartition(":")[2].rpartition("/")[2]
