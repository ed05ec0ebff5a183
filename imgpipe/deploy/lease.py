"""One `up` or `down` at a time: a lease, an object in the variants bucket that S3 lets only one writer create.

The holder renews it; one that died stops doing so, and after `TTL_S` the next may take it. Both times that are
compared, when the object was written and when it is looked at, are S3's, so nobody's clock matters. A holder
that died on this very machine is found out at once. Nothing is locked for readers, nor for an `up` that changes
nothing.
"""

from __future__ import annotations

import getpass
import json
import os
import platform
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from imgpipe.cloud import error_code, explain
from imgpipe.deploy.names import OPERATIONS
from imgpipe.errors import ImgpipeError

KEY = f"{OPERATIONS}/lease.json"
TTL_S = 30.0
RENEW_S = 10.0
WAIT_S = 45.0
"""Longer than TTL_S: who waits that long meets either the end of a dead holder's lease or a living holder."""

_TAKEN = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict", "409"})
_GONE = frozenset({"NoSuchKey", "NoSuchBucket", "404"})


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has the lease, and for which command."""

    verb: str
    user: str
    host: str
    pid: int
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __str__(self) -> str:
        return f"`imgpipe {self.verb}` of {self.user} on {self.host} (process {self.pid})"

    def is_dead(self) -> bool:
        """Tell whether it ran on this machine and doesn't any more."""
        if self.host != platform.node() or self.pid == os.getpid():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return False


def myself(verb: str) -> Holder:
    return Holder(verb, getpass.getuser(), platform.node(), os.getpid())


class Lease:
    """A lease that is held. `lost` once somebody else has it, which happens to a process that slept too long."""

    def __init__(self, s3: Any, bucket: str, holder: Holder, etag: str) -> None:
        self._s3, self._bucket, self._holder, self._etag = s3, bucket, holder, etag
        self._ended, self._lost = threading.Event(), threading.Event()
        self._renewer = threading.Thread(target=self._keep, name="lease", daemon=True)
        self._renewer.start()

    @property
    def lost(self) -> bool:
        return self._lost.is_set()

    def release(self) -> None:
        """Give the lease back. When that fails it simply runs out."""
        self._ended.set()
        self._renewer.join()
        if not self.lost:
            try:
                self._s3.delete_object(Bucket=self._bucket, Key=KEY, IfMatch=self._etag)
            except (ClientError, BotoCoreError):
                return

    def _keep(self) -> None:
        while not self._ended.wait(RENEW_S):
            try:
                self._etag = _write(self._s3, self._bucket, self._holder, IfMatch=self._etag)
            except ClientError as error:
                if error_code(error) in _TAKEN | _GONE:
                    self._lost.set()
                    return
            except BotoCoreError:
                continue  # no network for a moment: the next renewal may still be in time


@contextmanager
def held(
    s3: Any,
    bucket: str,
    holder: Holder,
    *,
    say: Callable[[str], None] = lambda _text: None,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[Lease]:
    """Hold the lease of `bucket`'s pipeline while the block runs; wait up to WAIT_S for another's end.

    Raises ImgpipeError naming the holder when it doesn't end, MissingError when there is no such bucket.
    """
    try:
        etag = _take(s3, bucket, holder, say, pause)
    except (ClientError, BotoCoreError) as error:
        raise explain(error, f"the lease in bucket {bucket}") from error
    lease = Lease(s3, bucket, holder, etag)
    try:
        yield lease
    finally:
        lease.release()


def _take(
    s3: Any, bucket: str, holder: Holder, say: Callable[[str], None], pause: Callable[[float], None]
) -> str:
    waited, other = 0.0, None
    while waited <= WAIT_S:
        try:
            return _write(s3, bucket, holder, IfNoneMatch="*")
        except ClientError as error:
            if error_code(error) not in _TAKEN:
                raise
        there = _look(s3, bucket)
        if there and (there.holder.id == holder.id or there.is_over):
            taken = _take_over(s3, bucket, holder, there)
            if taken:
                return taken
        elif there:
            if there.holder != other:
                say(f"waiting for {there.holder}")
            other = there.holder
            pause(1.0)
            waited += 1.0
    raise ImgpipeError(
        f"imgpipe {holder.verb}",
        f"{other} is at work on this pipeline",
        hint="wait until it has ended and run again",
    )


@dataclass(frozen=True, slots=True)
class _Seen:
    holder: Holder
    etag: str
    age_s: float

    @property
    def is_over(self) -> bool:
        return self.age_s > TTL_S or self.holder.is_dead()


def _look(s3: Any, bucket: str) -> _Seen | None:
    try:
        answer = s3.get_object(Bucket=bucket, Key=KEY)
    except ClientError as error:
        if error_code(error) in _GONE:
            return None
        raise
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    now = parsedate_to_datetime(date) if date else datetime.now(UTC)
    age_s = (now - answer["LastModified"]).total_seconds()
    return _Seen(_holder(answer["Body"].read()), answer["ETag"], age_s)


def _holder(body: bytes) -> Holder:
    try:
        return Holder(**json.loads(body))
    except (ValueError, TypeError):
        return Holder("?", "somebody", "another version of imgpipe", 0)


def _take_over(s3: Any, bucket: str, holder: Holder, there: _Seen) -> str | None:
    """Replace a lease that is over, or our own whose answer was lost; None if somebody was quicker."""
    try:
        return _write(s3, bucket, holder, IfMatch=there.etag)
    except ClientError as error:
        if error_code(error) in _TAKEN | _GONE:
            return None
        raise


def _write(s3: Any, bucket: str, holder: Holder, **condition: str) -> str:
    body = json.dumps({**asdict(holder), "id": holder.id}).encode()
    etag: str = s3.put_object(
        Bucket=bucket, Key=KEY, Body=body, ContentType="application/json", **condition
    )["ETag"]
    return etag
