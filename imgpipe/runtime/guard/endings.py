"""How a child ended, as a reason of the closed list and in words."""

from __future__ import annotations

import os
import signal

from imgpipe.runtime.errors import FilterFailed, Reason, Rejected, Transient

OUT_OF_TIME = frozenset({signal.SIGPROF, signal.SIGXCPU})
"""What the kernel sends when the processor time is used up."""


def used_up(status: int) -> bool:
    """Say whether a child ended for its time: trying again would only take that time again."""
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) in (*OUT_OF_TIME, signal.SIGALRM)


def outcome(status: int, decode_s: float, own: str = "") -> Exception:
    """Return what a `waitpid` status says: of the picture or, if it was the project's own filter
    `own` that was at work, of that.
    """
    return FilterFailed(own, _did(status, decode_s)) if own else rejection(status, decode_s)


def _did(status: int, decode_s: float) -> str:
    """Return what a filter did to its process."""
    if not os.WIFSIGNALED(status):
        return f"ended its process (exit code {os.waitstatus_to_exitcode(status)})"
    number = os.WTERMSIG(status)
    if number in OUT_OF_TIME:
        return f"took more than {decode_s:g} s of processor time"
    if number == signal.SIGALRM:
        return "had no end in time"
    if number == signal.SIGKILL:
        return "was killed (SIGKILL), by its own hand or because the system ran out of memory"
    return f"crashed its process ({_name(number)})"


def rejection(status: int, decode_s: float) -> Rejected | Transient:
    """Return what a `waitpid` status says about the picture.

    SIGKILL that we didn't send is the kernel's, when memory ran out.
    """
    if os.WIFSIGNALED(status):
        return _by_signal(os.WTERMSIG(status), decode_s)
    code = os.waitstatus_to_exitcode(status)
    return Rejected(Reason.WORKER_CRASH, f"it crashed twice (exit code {code})")


def _by_signal(number: int, decode_s: float) -> Rejected | Transient:
    if number in OUT_OF_TIME:
        return Rejected(Reason.TIME_LIMIT, f"more than {decode_s:g} s of processor time")
    if number == signal.SIGALRM:
        return Transient("the work on it had no end in time")
    if number == signal.SIGKILL:
        return Rejected(Reason.MEMORY_LIMIT, "the system ran out of memory")
    return Rejected(Reason.WORKER_CRASH, f"it crashed twice ({_name(number)})")


def too_late(wall_s: float, own: str = "") -> Exception:
    """Return what is said when the clock ran out and the processor time didn't: load, or a hang."""
    if own:
        told = f"wasn't done in {wall_s:.1f} s: it waits for something, it hangs, or too much else was to do"
        return FilterFailed(own, told)
    return Transient(
        f"the work on it wasn't done in {wall_s:.1f} s, though it took little processor time: "
        "too much else was to do, or it hangs"
    )


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
