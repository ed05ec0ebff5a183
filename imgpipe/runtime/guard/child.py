"""What runs in the child: one image after the other, until it has grown or the function is gone."""

from __future__ import annotations

import errno
import gc
import os
import sys
import time
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

from imgpipe.runtime.errors import Reason, Rejected
from imgpipe.runtime.guard import wire
from imgpipe.runtime.guard.fences import MOST_WRITTEN_BYTES, Fences
from imgpipe.runtime.settings import Limits

if TYPE_CHECKING:
    from imgpipe.runtime.made import Make


def serve(make: Make, line: wire.Line, inbox: int, outbox: int) -> NoReturn:
    """Answer requests until there are no more, then end this process, whatever happens:

    the stack that it was forked in belongs to the function, and must not go on here.
    """
    try:
        fences = Fences()
        gc.freeze()  # what came with the fork is shared as long as nobody touches it
        while _served(make, fences, line, inbox, outbox):
            pass
    except wire.GoneError:
        os._exit(0)
    except BaseException:  # noqa: BLE001 - see above
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)


def _served(make: Make, fences: Fences, line: wire.Line, inbox: int, outbox: int) -> bool:
    """Answer one request. Returns whether to wait for another."""
    asked = line.hear()
    limits = Limits(**asked["limits"])
    fences.allow(limits)
    started = time.perf_counter()
    said = _worked(make, asked, limits, inbox, outbox)
    said["ms"] = round((time.perf_counter() - started) * 1000, 2)
    said["last"] = bool(said.get("starved")) or fences.has_grown(limits)
    fences.relax()  # before the answer: Lambda may freeze both as soon as the function has it
    try:
        line.say(said)
    except (TypeError, ValueError) as error:  # facts that aren't JSON
        line.say({**_raised(error), "ms": said["ms"], "last": said["last"]})
    sys.stdout.flush()
    return not said["last"]


def _worked(
    make: Make, asked: dict[str, Any], limits: Limits, inbox: int, outbox: int
) -> dict[str, Any]:
    try:
        data = wire.take(inbox, asked["size"])
        wire.give_back(inbox)
        document, pictures = wire.packed(make(data, asked["wanted"], limits))
        wire.fill(outbox, pictures)
    except Rejected as refusal:
        causes = (refusal.__cause__, refusal.__context__)
        return _rejected(refusal, starved=any(isinstance(each, MemoryError) for each in causes))
    except MemoryError:
        return _rejected(Rejected(Reason.MEMORY_LIMIT), starved=True)
    except OSError as error:
        return _raised(error) if error.errno != errno.EFBIG else _rejected(_too_much())
    except BaseException as error:  # noqa: BLE001 - SystemExit, too, is only what this image came to
        return _raised(error)
    return {"made": document}


def _too_much() -> Rejected:
    most = MOST_WRITTEN_BYTES // 1_000_000
    return Rejected(Reason.TOO_LARGE, f"its variants would take more than {most} MB")


def _rejected(refusal: Rejected, *, starved: bool = False) -> dict[str, Any]:
    told = {
        "rejected": refusal.reason.value,
        "message": refusal.message,
        "detail": refusal.detail,
    }
    return {**told, "starved": True} if starved else {**told}


def _raised(error: BaseException) -> dict[str, Any]:
    frames = "".join(traceback.format_exception(error))
    return {"raised": type(error).__name__, "message": str(error), "traceback": frames[-4000:]}
