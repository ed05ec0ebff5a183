"""A PNG's pixels, unpacked by Intel's ISA-L (package `isal`, on both of Lambda's processors) where it is installed.

Pillow unpacks with the zlib that it finds on the system, which takes twice as long and half of the time of
a large PNG. Its decoder knows no other source, so it is handed the unpacked bytes as blocks that
are stored in zlib's format (RFC 1951, 3.2.4) and only have to be copied. libvips is quicker still, where
it is carried (see `unfiltering`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

try:
    from isal import isal_zlib
except ImportError:
    isal_zlib = None  # type: ignore[assignment]

AVAILABLE = isal_zlib is not None
STORED_MOST = 65_535
"""Bytes of a stored block: its length has 16 bits."""
AT_ONCE = 1 << 20
"""Bytes that are unpacked at once, so that a bomb takes no more memory than that."""
ZLIB_HEADER = b"\x78\x01"


def load(im: Any) -> bool:
    """Decode the pixels of a PNG that Pillow has opened and that has one frame. Returns whether it did.

    Raises whatever is wrong with the file; then it must be opened anew.
    """
    im.load_read = _Unpacked(im.load_read).read
    im.load()
    del im.load_read
    return True


class _Unpacked:
    """What `packed` gives, unpacked, as a zlib stream of stored blocks."""

    def __init__(self, packed: Callable[[int], bytes]) -> None:
        self._packed = packed
        self._stream = isal_zlib.decompressobj()
        self._head = ZLIB_HEADER

    def read(self, size: int) -> bytes:
        """Return some blocks; nothing at the end. `size` is how much to read packed."""
        unpacked = b""
        while not unpacked:
            packed = self._stream.unconsumed_tail or self._packed(size)
            if not packed:
                return b""
            unpacked = self._stream.decompress(packed, AT_ONCE)
        head, self._head = self._head, b""
        return head + b"".join(
            _stored(unpacked[at : at + STORED_MOST]) for at in range(0, len(unpacked), STORED_MOST)
        )


def _stored(part: bytes) -> bytes:
    length = len(part)
    return b"\0" + length.to_bytes(2, "little") + (length ^ 0xFFFF).to_bytes(2, "little") + part
