"""A kind that isn't read is told from a file that is damaged: the one needs another file, the other
the same once more.
"""

from __future__ import annotations

import struct
from typing import Any

import pytest

from imgpipe.runtime import image
from imgpipe.runtime.errors import Reason, Rejected
from imgpipe.runtime.settings import Limits
from tests.pictures import corners, encoded

WANTED: dict[str, Any] = {"sizes": {"variants": {"small": {"width": 10}}}}
SIDE = 4


def tiff(*tags: tuple[int, int, int], order: str = "<", pages: bytes = b"") -> bytes:
    """Return a TIFF of 4 x 4 RGB whose directory has `tags` (number, type, value), too."""
    pixels = bytes(range(SIDE * SIDE * 3))
    known = {
        **{tag: (3, value) for tag, value in ((256, SIDE), (257, SIDE), (258, 8), (259, 1))},
        **{tag: (3, value) for tag, value in ((262, 1), (277, 1), (278, SIDE))},
        273: (4, 8),
        279: (4, SIDE * SIDE),
        **{tag: (kind, value) for tag, kind, value in tags},
    }
    entries = b"".join(
        struct.pack(f"{order}HHI", tag, kind, 1) + _value(order, kind, value)
        for tag, (kind, value) in sorted(known.items())
    )
    head = b"II*\0" if order == "<" else b"MM\0*"
    directory = struct.pack(f"{order}H", len(known)) + entries + bytes(4)
    return head + struct.pack(f"{order}I", 8 + len(pixels)) + pixels + directory + pages


def _value(order: str, kind: int, value: int) -> bytes:
    return struct.pack(f"{order}HH", value, 0) if kind == 3 else struct.pack(f"{order}I", value)


def refusal(data: bytes) -> Rejected:
    with pytest.raises(Rejected) as caught:
        image.make(data, WANTED, Limits())
    return caught.value


def test_the_plain_ones_are_read() -> None:
    for order in "<>":
        assert image.make(tiff(order=order), WANTED, Limits())["sizes"].variants["small"]
    reduced = tiff((254, 4, 1))
    assert image.make(reduced, WANTED, Limits())["sizes"].variants["small"]


SENSOR = struct.pack("<HHHIHH", 1, 262, 3, 1, 32803, 0)
PLACE = len(tiff((330, 4, 0)))


@pytest.mark.parametrize(
    "data",
    [
        tiff((50706, 4, 0x0401)),  # DNG
        tiff((254, 4, 1), (271, 4, 0)),  # NEF, ARW: a preview comes first
        tiff((254, 4, 1), (271, 4, 0), order=">"),
        tiff((262, 3, 32803)),  # PEF: the sensor's pixels come first
        tiff((330, 4, PLACE), pages=SENSOR),
        b"II*\0\x10\0\0\0CR\x02\0" + bytes(64),
        b"IIRO\x08\0\0\0" + bytes(64),
        b"IIU\0\x18\0\0\0" + bytes(64),
        b"FUJIFILMCCD-RAW 0201" + bytes(64),
        b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(64),
    ],
)
def test_a_cameras_raw_file_is_no_picture_of_160_pixels(data: bytes) -> None:
    refused = refusal(data)
    assert refused.reason is Reason.UNSUPPORTED_FORMAT
    assert "a camera's raw file" in refused.message


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (tiff((258, 3, 14)), "a TIFF of one channel of 14 bits"),
        (tiff((258, 3, 24)), "a TIFF of one channel of 24 bits"),
        (tiff((259, 3, 50001)), "a TIFF packed with WebP"),
        (b"\xff\xd8\xff\xf7" + encoded(corners(), "JPEG")[4:], "a JPEG-LS"),
    ],
)
def test_a_kind_that_no_decoder_has_is_not_damaged(data: bytes, kind: str) -> None:
    refused = refusal(data)
    assert refused.reason is Reason.UNSUPPORTED_FORMAT
    assert kind in refused.message


BITS = struct.pack("<HHI", 258, 3, 1)


@pytest.mark.parametrize(
    "data",
    [
        tiff((262, 3, 2), (277, 3, 0)),  # of no channel
        tiff().replace(BITS, struct.pack("<HHI", 258, 2, 4)),  # letters
        tiff().replace(BITS, struct.pack("<HHI", 258, 11, 1)),  # a fraction
    ],
)
def test_a_tiff_that_says_no_number_of_bits_is_damaged(data: bytes) -> None:
    assert refusal(data).reason is Reason.CORRUPT_IMAGE


def test_a_directory_that_leads_nowhere_is_damaged() -> None:
    assert refusal(tiff((330, 4, 1 << 31), (273, 4, 1 << 30))).reason is not None
    assert refusal(b"II*\0\x08\0\0\0\xff\xff" + bytes(99)).reason is Reason.CORRUPT_IMAGE
