"""Image work in a child process: a picture that hangs, crashes or fills the memory of a decoder costs
that one picture.

    warm       the child as the function sees it: started, asked, waited for, killed
    child      what runs in it: image after image, until it has grown or the function is gone
    fences     the kernel's limits on it: memory, processor time, file size
    endings    how it ended, as a reason that a photographer reads
    wire       what goes between the two: lines of JSON, and bytes in memory that both have

A child is forked when the first image comes, with the libraries loaded, and works on one image
after the other, so its start (2 ms) is paid once and not by the image. It is replaced when it dies,
is killed or has grown. A crash or an outside kill counts only if it happens again in a fresh child:
what broke the first may have been the picture before.

Pipes and `memfd_create` alone: Lambda has no /dev/shm, so `multiprocessing`'s queues, pools and
shared memory don't work there.

What it isn't: a sandbox. A decoder that is made to run foreign code runs it with the function's
rights. Where the platform can't fork (Windows), or where pipeline.yaml says `isolate: false`, the
work is done in the function's own process: limits are then checked on the header alone, and a
picture that hangs, crashes or fills the memory takes the function and its batch with it. macOS
forks, but doesn't keep the limit on memory.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from imgpipe.runtime.guard.warm import Done, Guard, can_fork

if TYPE_CHECKING:
    from imgpipe.runtime.made import Make

__all__ = ["Done", "Guard", "can_fork", "guarded"]


@cache
def guarded(make: Make) -> Make:
    """Return `make` as done in a warm child, the same one for the life of this process; `make`
    itself where that can't be.
    """
    return Guard(make) if can_fork() else make
