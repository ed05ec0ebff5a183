"""How a child ended, as a reason of the closed list and in words."""

from __future__ import annotations

import os
import signal

from imgpipe.runtime.errors import Reason, Rejected


def rejection(status: int) -> Rejected:
    """Return what a `waitpid` status says about the picture.

    SIGKILL that we didn't send is the kernel's, when memory ran out.
    """
    if os.WIFSIGNALED(status):
        return _by_signal(os.WTERMSIG(status))
    code = os.waitstatus_to_exitcode(status)
    return Rejected(Reason.WORKER_CRASH, f"decoding it crashed, twice (exit code {code})")


def _by_signal(number: int) -> Rejected:
    if number in (signal.SIGXCPU, signal.SIGALRM):
        return Rejected(Reason.TIME_LIMIT, "it takes too long to decode")
    if number == signal.SIGKILL:
        return Rejected(Reason.MEMORY_LIMIT, "the system ran out of memory while decoding it")
    return Rejected(Reason.WORKER_CRASH, f"decoding it crashed, twice ({_name(number)})")


def too_slow(decode_s: float) -> Rejected:
    return Rejected(Reason.TIME_LIMIT, f"it takes more than {decode_s:g} s to decode")


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
