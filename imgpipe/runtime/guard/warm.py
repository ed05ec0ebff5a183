"""The child as the function sees it: started when it is needed, asked, waited for, killed."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import warnings
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from imgpipe.runtime.errors import Reason, Rejected, Transient
from imgpipe.runtime.guard import endings, wire

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imgpipe.runtime.made import Made, Make
    from imgpipe.runtime.settings import Limits

_kept: set[int] = set()
"""The function's ends of its pipes. A child closes them, or a sibling would never see the function
end.
"""


def can_fork() -> bool:
    return hasattr(os, "fork")


class Done:
    """What an image came to, and how long the work on it took in the child."""

    def __init__(self, made: Mapping[str, Made], ms: float) -> None:
        self.made, self.ms = made, ms


class Guard:
    """`make`, in a child that is kept for the next image. For several threads, a child each."""

    def __init__(self, make: Make) -> None:
        self._make = make
        self._idle: list[Child] = []

    def __call__(
        self, data: bytes, wanted: Mapping[str, Mapping[str, Any]], limits: Limits
    ) -> Mapping[str, Made]:
        return self.work(data, wanted, limits).made

    def work(self, data: bytes, wanted: Mapping[str, Mapping[str, Any]], limits: Limits) -> Done:
        """Return what `make` returns and raise what it raises.

        Raises Rejected with `time_limit` (of the processor), `memory_limit` or `worker_crash` for
        what the child came to, FilterFailed when it came to that in a filter of the project's own,
        Transient when there is no process to be had or both attempts
        together took longer by the clock than `limits.clock_s`, which says more of the machine
        than of the picture.
        """
        deadline = time.monotonic() + limits.clock_s
        for again in (False, True):
            child = Child(self._make) if again else self._take()
            used = child.used
            try:
                said = child.ask(data, wanted, limits, deadline)
                if said.get("starved") and used:
                    continue  # what it still held of the images before may have been too much
                return _outcome(said, child.outbox)
            except wire.LateError:
                raise endings.too_late(limits.clock_s, child.doing()) from None
            except wire.GoneError:
                doing, status = child.doing(), child.end()
                if again or endings.used_up(status):
                    raise endings.outcome(status, limits.decode_s, doing) from None
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                child.end()
                raise Rejected(Reason.WORKER_CRASH, "its decoder went wild") from error
            finally:
                self._put(child)
        raise AssertionError("the second attempt ends")

    def _take(self) -> Child:
        while self._idle:
            child = self._idle.pop()
            if child.is_alive():
                return child
        return Child(self._make)

    def _put(self, child: Child) -> None:
        """Keep `child` for the next image if it is fit for one."""
        if child.waits:
            self._idle.append(child)
        else:
            child.end()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().end()


class Child:
    """One process. `waits` says whether it could take another image."""

    def __init__(self, make: Make) -> None:
        self.inbox, self.outbox, self.diary = (wire.shared_file() for _ in range(3))
        asking, saying = os.pipe(), os.pipe()
        self._line = wire.Line(saying[0], asking[1])
        _kept.update((saying[0], asking[1]))
        self._status: int | None = None
        self.used = False
        self.waits = True
        try:
            self.pid = _fork(make, wire.Line(asking[0], saying[1]), self)
        except OSError as error:
            self._status = 0
            self._close()
            raise Transient(f"no process could be started: {error.strerror}") from error
        finally:
            os.close(asking[0])
            os.close(saying[1])

    def ask(
        self, data: bytes, wanted: Mapping[str, Mapping[str, Any]], limits: Limits, deadline: float
    ) -> dict[str, Any]:
        """Return what it says of an image.

        Raises GoneError, LateError, and what `Line.hear` raises.
        """
        self.waits = False
        self.used = True
        wire.fill(self.inbox, [data])
        asked = {"size": len(data), "wanted": wanted, "limits": asdict(limits)}
        self._line.say(asked)
        said = self._line.hear(deadline)
        self.waits = not said["last"]
        return said

    def doing(self) -> str:
        """Return the filter of the project's own that it is in, or was when it died; "" if none."""
        return os.pread(self.diary, wire.LONGEST_NOTE, 0).decode(errors="replace")

    def is_alive(self) -> bool:
        if self._status is None:
            self._status = _reaped(self.pid, os.WNOHANG)
            if self._status is not None:
                self._close()
        return self._status is None

    def end(self) -> int:
        """Kill it if it lives, and return how it ended, as `waitpid` says it."""
        if self._status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self._status = _reaped(self.pid, 0) or 0
            self._close()
        self.waits = False
        return self._status

    def _close(self) -> None:
        _kept.difference_update((self._line.reading, self._line.writing))
        self._line.close()
        for file in (self.inbox, self.outbox, self.diary):
            os.close(file)


def _fork(make: Make, line: wire.Line, files: Child) -> int:
    """Return the number of a new process that serves `line`, with the `files` that both have open.

    No signal may come between the fork and the `try`: what a handler raises there would go up the
    function's stack in the child, which would then be the function a second time.
    """
    from imgpipe.runtime import doing
    from imgpipe.runtime.guard import child

    sys.stdout.flush()
    sys.stderr.flush()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of threads, from 3.12 on
            pid = os.fork()
        if pid == 0:
            try:
                for descriptor in _kept:
                    os.close(descriptor)
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
                doing.told_to(lambda text: wire.note(files.diary, text))
                child.serve(make, line, files.inbox, files.outbox)
            finally:
                os._exit(1)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pid


def _reaped(pid: int, how: int) -> int | None:
    """Return how a child ended; None while it lives."""
    try:
        found, status = os.waitpid(pid, how)
    except ChildProcessError:  # somebody else asked first
        return 0
    return status if found else None


def _outcome(said: dict[str, Any], outbox: int) -> Done:
    if "made" in said:
        made = wire.unpacked(said["made"], outbox)
        wire.give_back(outbox)
        return Done(made, float(said["ms"]))
    if "rejected" in said:
        raise Rejected(Reason(said["rejected"]), str(said["message"]), str(said.get("detail", "")))
    raise _error(str(said["raised"]), str(said["message"]), str(said["traceback"]))


def _error(kind: str, message: str, frames: str) -> Exception:
    """Return an error with the name of the one that was raised in the child, which is what rows, logs
    and letters tell of it.
    """
    error: Exception = type(kind, (Exception,), {"__module__": "imgpipe.guard"})(message)
    error.add_note(frames)
    return error
