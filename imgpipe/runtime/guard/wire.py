"""What goes between a function and its child: lines of JSON through pipes, and the bytes of files
in memory that both have open.

Not pickle: what the child says may have been written by whoever made the picture, and reading a
pickle runs it. The same goes for the lengths that it tells, which are checked.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import time
from typing import TYPE_CHECKING, Any

from imgpipe.runtime.made import Made, Picture

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LONGEST_LINE = 16 << 20
LONGEST_NOTE = 200
KEPT_BYTES = 16 << 20
"""Shared memory up to this size stays for the next image; more is given back."""


class GoneError(Exception):
    """The other side has ended."""


class LateError(Exception):
    """The other side didn't answer in time."""


def shared_file() -> int:
    """Return a descriptor of a file that is only in memory; on disk, without a name, where there is
    no such thing.
    """
    with contextlib.suppress(AttributeError, OSError):
        return os.memfd_create("imgpipe")
    import tempfile

    with tempfile.TemporaryFile() as made:
        return os.dup(made.fileno())


def fill(file: int, parts: Iterable[bytes]) -> None:
    """Write `parts` to the beginning of `file`."""
    at = 0
    for part in parts:
        view = memoryview(part)
        while view:
            written = os.pwrite(file, view, at)
            view, at = view[written:], at + written


def take(file: int, length: int, at: int = 0) -> bytes:
    """Return bytes of `file`. Raises ValueError if there are fewer."""
    if not 0 <= at <= at + length <= os.fstat(file).st_size:
        raise ValueError(f"there are no {length} bytes at {at}")
    found = os.pread(file, length, at)
    while len(found) < length:  # Linux reads at most 2 GB at a time
        found += os.pread(file, length - len(found), at + len(found))
    return found


def give_back(file: int) -> None:
    """Give back the memory of `file` if it is much."""
    if os.fstat(file).st_size > KEPT_BYTES:
        os.ftruncate(file, 0)


def note(file: int, text: str) -> None:
    """Write `text` in place of all that `file` has."""
    os.ftruncate(file, 0)
    os.pwrite(file, text.encode()[:LONGEST_NOTE], 0)


class Line:
    """The two ends of a conversation in lines of JSON."""

    def __init__(self, reading: int, writing: int) -> None:
        self.reading, self.writing = reading, writing

    def say(self, document: Mapping[str, Any]) -> None:
        """Raises GoneError when nobody listens."""
        view = memoryview(json.dumps(document, separators=(",", ":")).encode() + b"\n")
        try:
            while view:
                view = view[os.write(self.writing, view) :]
        except BrokenPipeError as error:
            raise GoneError from error

    def hear(self, deadline: float | None = None) -> dict[str, Any]:
        """Return the next document.

        Raises GoneError when none can come any more, LateError when none came until `deadline` (of
        `time.monotonic`), ValueError when it isn't one.
        """
        heard = bytearray()
        while not heard.endswith(b"\n"):
            if deadline is not None:
                _wait(self.reading, deadline)
            part = os.read(self.reading, 1 << 16)
            if not part:
                raise GoneError
            heard += part
            if len(heard) > LONGEST_LINE:
                raise ValueError(f"a line of more than {LONGEST_LINE} bytes")
        document = json.loads(heard)
        if not isinstance(document, dict):
            raise TypeError("no JSON object")
        return document

    def close(self) -> None:
        os.close(self.reading)
        os.close(self.writing)


def _wait(reading: int, deadline: float) -> None:
    poll = select.poll()
    poll.register(reading, select.POLLIN)
    left_s = deadline - time.monotonic()
    if not poll.poll(max(0.0, left_s) * 1000):
        raise LateError


def packed(made: Mapping[str, Made]) -> tuple[dict[str, Any], list[bytes]]:
    """Return what was made as a document and, apart, the bytes of its pictures in its order."""
    pictures = [data for each in made.values() for data in _bytes_of(each)]
    document = {
        step: {
            "facts": dict(each.facts),
            "preview": len(each.preview),
            "variants": {
                name: {
                    "length": len(picture.data),
                    "width": picture.width,
                    "height": picture.height,
                    "format": picture.format,
                }
                for name, picture in each.variants.items()
            },
        }
        for step, each in made.items()
    }
    return document, pictures


def unpacked(document: Mapping[str, Any], file: int) -> dict[str, Made]:
    """Return what `packed` took apart. Raises some error for anything else."""
    made, at = {}, 0
    for step, each in document.items():
        variants = {}
        for name, told in each["variants"].items():
            variants[name] = Picture(
                data=take(file, int(told["length"]), at),
                width=int(told["width"]),
                height=int(told["height"]),
                format=str(told["format"]),
            )
            at += len(variants[name].data)
        preview = take(file, int(each["preview"]), at)
        at += len(preview)
        made[step] = Made(variants=variants, facts=dict(each["facts"]), preview=preview)
    return made


def _bytes_of(made: Made) -> list[bytes]:
    return [*(picture.data for picture in made.variants.values()), made.preview]
