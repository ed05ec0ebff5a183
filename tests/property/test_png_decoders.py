"""Whoever decodes a PNG, the pixels, what is told of them and the reasons for refusing it are Pillow's."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgpipe.runtime.errors import Rejected
from imgpipe.runtime.image import inflating, opening, unfiltering
from imgpipe.runtime.image.opening import open_image
from imgpipe.runtime.settings import Limits
from tests.png_files import chunk, header, joined, random_rows

DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
EXTRA = {
    b"gAMA": struct.pack(">I", 45455),
    b"sBIT": b"\x05\x05\x05\x05",
    b"tRNS": bytes(6),
    b"bKGD": bytes(6),
    b"sRGB": b"\0",
    b"pHYs": struct.pack(">IIB", 3000, 3000, 1),
    b"tEXt": b"Title\0Rocks",
    b"iCCP": b"p\0\0" + zlib.compress(bytes(200)),
    b"zzZz": b"whatever",
}
LIMITS = Limits(max_pixels=1_000_000)
DECODERS = [
    pytest.param(
        module.load,
        id=name,
        marks=pytest.mark.skipif(not module.AVAILABLE, reason=f"no {name} here"),
    )
    for name, module in (("libvips", unfiltering), ("isal", inflating))
]


@st.composite
def pngs(draw: st.DrawFn) -> bytes:
    """A PNG of any kind, filtered in any way: mostly as it should be, sometimes not."""
    colour = draw(st.sampled_from([2, 6, 0, 4, 3]))
    depth = draw(st.sampled_from(DEPTHS[colour]))
    width, height = draw(st.integers(1, 40)), draw(st.integers(1, 12))
    random = draw(st.randoms(use_true_random=False))
    most = draw(st.sampled_from([4, 4, 4, 5]))
    rows = random_rows((width, height), depth, colour, random, most)
    rows = rows[: len(rows) - draw(st.sampled_from([0, 0, 0, 0, 1, width]))]
    packed = zlib.compress(rows + bytes(draw(st.sampled_from([0, 0, 0, 5, 500]))))
    if draw(st.integers(0, 9)) == 0:
        packed = packed[:-4] + draw(st.binary(max_size=4))
    before = [chunk(kind, EXTRA[kind]) for kind in draw(_some())]
    if colour == 3:
        before.insert(0, chunk(b"PLTE", random.randbytes(3 * 2**depth)))
    cut = draw(st.integers(0, len(packed)))
    pixels = [chunk(b"IDAT", part) for part in (packed[:cut], packed[cut:])]
    after = [chunk(kind, EXTRA[kind]) for kind in draw(_some())]
    end = [] if draw(st.integers(0, 9)) == 0 else [chunk(b"IEND")]
    return joined([header((width, height), depth, colour), *before, *pixels, *after, *end])


def _some() -> st.SearchStrategy[list[bytes]]:
    return st.lists(st.sampled_from(sorted(EXTRA)), max_size=2, unique=True)


def end(data: bytes, *decoders: Any) -> tuple[Any, ...]:
    """Return all that is known of a picture, or why it was refused."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(opening, "_quick", lambda _: iter(decoders))
        try:
            im: Any = open_image(data, LIMITS).im
        except Rejected as refusal:
            return refusal.reason, refusal.message
    return im.mode, im.size, im.getpalette(), im.info, im.text, im.tobytes()


@pytest.mark.parametrize("load", DECODERS)
@settings(max_examples=300, deadline=None)
@given(data=pngs())
def test_a_png_has_one_end(load: Any, data: bytes) -> None:
    assert end(data, load) == end(data)
