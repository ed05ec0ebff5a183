"""What a moving AVIF says of time in its headers, which Pillow neither reads nor sets: how often it
is played, and when it was made (ISO/IEC 14496-12, 8.2.2, 8.3.2, 8.4.2, 8.6.6).

A track that repeats lasts as long as all of its plays; its edit list has one play.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLDERS = frozenset({b"moov", b"trak", b"edts", b"mdia"})
_BEFORE_DURATION = {b"mvhd": 4, b"tkhd": 8, b"mdhd": 4}
"""Bytes between a header's two times and its duration."""


@dataclass(frozen=True, slots=True)
class _Box:
    """A header; `at` is behind its version and flags, `width` that of its times, in bytes."""

    name: bytes
    at: int
    width: int

    @property
    def duration(self) -> slice:
        before = _BEFORE_DURATION.get(self.name)
        at = self.at + (4 if before is None else 2 * self.width + before)
        return slice(at, at + self.width)


def plays(data: bytes) -> int:
    """Return how often an AVIF is played; 0 is for ever, also where it doesn't say."""
    headers: dict[bytes, _Box] = {}
    for box in _headers(data, 0, len(data)):
        headers.setdefault(box.name, box)
    track, edit = headers.get(b"tkhd"), headers.get(b"elst")
    if track is None or edit is None:
        return 0
    if not data[edit.at - 1] & 1:
        return 1
    whole, once = (data[each.duration] for each in (track, edit))
    if whole == b"\xff" * track.width or not any(once):
        return 0
    return max(1, -(-int.from_bytes(whole, "big") // int.from_bytes(once, "big")))


def played(data: bytes, times: int) -> bytes:
    """Return a moving AVIF that is played so often (0 is for ever), without the moment that it was
    made at: the same pictures make the same bytes.
    """
    made = bytearray(data)
    headers = list(_headers(data, 0, len(data)))
    once = next((data[box.duration] for box in headers if box.name == b"elst"), b"")
    for box in headers:
        if box.name == b"elst":
            made[box.at - 1] = times != 1
            continue
        made[box.at : box.at + 2 * box.width] = bytes(2 * box.width)
        if times and once and box.name != b"mdhd":
            whole = times * int.from_bytes(once, "big")
            made[box.duration] = whole.to_bytes(box.width, "big")
    return bytes(made)


def _headers(data: bytes, at: int, end: int) -> Iterator[_Box]:
    while at + 12 <= end:
        length, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        stop = min(at + length, end) if length >= 8 else end
        if name in _FOLDERS:
            yield from _headers(data, at + 8, stop)
        elif name in _BEFORE_DURATION or name == b"elst":
            yield _Box(name, at + 12, 8 if data[at + 8] else 4)
        at = stop
