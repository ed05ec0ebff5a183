"""What is told from the first bytes, before any decoder sees them."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from imgpipe.runtime import image
from imgpipe.runtime.errors import WORDS, Reason, Rejected
from imgpipe.runtime.image.opening import refusals
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


def test_what_was_found_is_said_plainly_and_the_decoders_words_are_kept_apart() -> None:
    jpeg = encoded(corners(400, 300), "JPEG")
    cut = refusal(jpeg[: len(jpeg) // 2])
    assert cut.reason is Reason.TRUNCATED_IMAGE
    assert cut.message == "the file ends before its picture is complete"
    assert cut.detail.startswith("image file")
    webp = encoded(corners(400, 300), "WEBP")
    assert refusal(webp[:-99]).message == "the file ends before its picture is complete"
    broken = refusal(b"GIF89a" + bytes(8))
    assert "bytes)" not in broken.message
    assert broken.detail
    assert "Error" not in refusal(webp[:60] + bytes(99) + webp[159:]).message


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP"])
@pytest.mark.parametrize("limit", [200_000, 300_000])
def test_too_many_pixels_are_told_in_megapixels_with_the_limit(kind: str, limit: int) -> None:
    refused = refusal(encoded(Image.new("RGB", (1000, 500)), kind), Limits(max_pixels=limit))
    assert refused.reason is Reason.TOO_MANY_PIXELS
    assert refused.message.endswith(f"0.5 MP; the limit is {limit / 1e6} MP")


def test_a_png_that_unpacks_to_too_much_text_is_told_from_a_damaged_one() -> None:
    texts = PngImagePlugin.PngInfo()
    for number in range(70):
        texts.add_text(f"comment {number}", "0" * 1_000_000, zip=True)
    assert refusal(encoded(corners(), "PNG", pnginfo=texts)).reason is Reason.METADATA_TOO_LARGE


@pytest.mark.parametrize(
    "said",
    [
        RuntimeError("Pixel allocation failed: Out of memory"),
        ValueError("Failed to decode frame 0: Out of memory"),
        RuntimeError("Memory allocation error: Allocating 12 bytes"),
        OSError("decoder error -9: out of memory error"),
        ValueError("Can't allocate decoder"),
    ],
    ids=str,
)
def test_a_decoder_without_memory_says_nothing_of_the_file(said: Exception) -> None:
    with pytest.raises(Rejected) as caught, refusals():
        raise said
    assert caught.value.reason is Reason.MEMORY_LIMIT
    assert caught.value.message == WORDS[Reason.MEMORY_LIMIT]
