"""What is told from the first bytes, before any decoder sees them."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from imgpipe.runtime import image
from imgpipe.runtime.errors import Reason, Rejected
from imgpipe.runtime.image.structure import declared_size
from imgpipe.runtime.settings import Limits
from tests.pictures import corners, encoded, exif

WANTED: dict[str, Any] = {"sizes": {"variants": {"small": {"width": 10}}}}


def refusal(data: bytes, limits: Limits | None = None) -> Rejected:
    with pytest.raises(Rejected) as caught:
        image.make(data, WANTED, limits or Limits())
    return caught.value


def _animated() -> bytes:
    out = io.BytesIO()
    frames = [Image.new("RGB", (123, 45), colour) for colour in ("red", "blue")]
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:])
    return out.getvalue()


WEBP = {
    "lossy": encoded(Image.new("RGB", (123, 45)), "WEBP"),
    "lossless": encoded(Image.new("RGB", (123, 45)), "WEBP", lossless=True),
    "alpha": encoded(Image.new("RGBA", (123, 45)), "WEBP"),
    "exif": encoded(Image.new("RGB", (123, 45)), "WEBP", exif=exif(t271="Acme")),
    "animated": _animated(),
}


@pytest.mark.parametrize("kind", WEBP)
def test_a_webp_tells_its_size_in_each_kind_of_header(kind: str) -> None:
    assert declared_size(WEBP[kind]) == (123, 45)


def test_a_png_tells_its_size_and_others_do_not() -> None:
    assert declared_size(encoded(corners(7, 5), "PNG")) == (7, 5)
    assert declared_size(encoded(corners(7, 5), "BMP")) == (0, 0)
    assert declared_size(b"RIFF\0\0\0\0WEBPVP9 " + bytes(30)) == (0, 0)


@pytest.mark.parametrize("kind", WEBP)
def test_a_webp_is_refused_before_its_decoder_takes_memory(kind: str) -> None:
    few = refusal(WEBP[kind], Limits(max_pixels=123 * 45 - 1))
    little = refusal(WEBP[kind], Limits(max_decoded_bytes=123 * 45 * 8))
    assert few.reason is Reason.TOO_MANY_PIXELS
    assert "123 x 45" in few.message
    assert little.reason is Reason.MEMORY_LIMIT


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.EMPTY_FILE),
        (b"\xff", Reason.UNSUPPORTED_FORMAT),
        (b"\xff\xd8", Reason.TRUNCATED_IMAGE),
        (b"\x89PN", Reason.TRUNCATED_IMAGE),
        (b"\x89PNG\n\x1a\n\0\0\0\rIHDR", Reason.CORRUPT_IMAGE),
        (b"RIFF\x10\0\0\0WEBP", Reason.CORRUPT_IMAGE),
        (b"II*\0", Reason.CORRUPT_IMAGE),
        (b"hello", Reason.UNSUPPORTED_FORMAT),
        (b"<svg/>", Reason.UNSUPPORTED_FORMAT),
    ],
)
def test_a_few_bytes_have_the_reason_that_helps(data: bytes, reason: Reason) -> None:
    assert refusal(data).reason is reason
