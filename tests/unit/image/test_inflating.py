"""A PNG's pixels are the same whoever unpacks them, and so is what is said of a broken one."""

import io
import struct
import zlib
from collections.abc import Iterator

import pytest
from PIL import Image

from imgpipe.runtime.errors import Reason, Rejected
from imgpipe.runtime.image import inflating
from imgpipe.runtime.image.opening import open_image
from imgpipe.runtime.settings import Limits
from tests.pictures import corners, encoded

LIMITS = Limits()


@pytest.fixture(params=["isal", "Pillow"])
def unpacked_by(request: pytest.FixtureRequest) -> Iterator[str]:
    before = inflating.AVAILABLE
    inflating.AVAILABLE = before and request.param == "isal"
    yield request.param
    inflating.AVAILABLE = before


def noise() -> Image.Image:
    """Return a picture that packs badly: its stream is longer than a stored block."""
    return Image.effect_noise((700, 500), 90)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "LA", "1", "I;16"])
def test_every_mode_has_the_pixels_that_pillow_reads(unpacked_by: str, mode: str) -> None:
    source = noise() if mode == "I;16" else Image.merge("RGB", [noise()] * 3)
    made = source.convert("I").convert("I;16") if mode == "I;16" else source.convert(mode)
    data = encoded(made, "PNG")
    with Image.open(io.BytesIO(data)) as plain:
        assert open_image(data, LIMITS).im.tobytes() == plain.tobytes()


def test_a_cut_file_is_called_truncated(unpacked_by: str) -> None:
    data = encoded(noise(), "PNG")
    with pytest.raises(Rejected) as caught:
        open_image(data[: len(data) // 2], LIMITS)
    assert caught.value.reason is Reason.TRUNCATED_IMAGE


def test_a_wrong_checksum_is_a_broken_file(unpacked_by: str) -> None:
    with pytest.raises(Rejected) as caught:
        open_image(_png(corners(), b"\0\0\0\0"), LIMITS)
    assert caught.value.reason is Reason.CORRUPT_IMAGE


def test_more_bytes_than_the_picture_has_are_left_packed(unpacked_by: str) -> None:
    made = corners()
    assert open_image(_png(made, more=300_000_000), LIMITS).im.tobytes() == made.tobytes()


def _png(made: Image.Image, checksum: bytes | None = None, more: int = 0) -> bytes:
    """Return a PNG of unfiltered rows, with another checksum, or with zeros behind its pixels."""
    step, raw = made.width * 3, made.tobytes()
    rows = b"".join(b"\0" + raw[at : at + step] for at in range(0, len(raw), step))
    stream = zlib.compressobj(9)
    parts = [stream.compress(rows)]
    parts += [stream.compress(bytes(1_000_000)) for _ in range(more // 1_000_000)]
    packed = b"".join(parts) + stream.flush()
    if checksum:
        packed = packed[:-4] + checksum
    header = struct.pack(">IIBBBBB", *made.size, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
