"""Good pictures of kinds that are seldom seen: each must be done."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

from PIL import Image

from tests.pictures import corners, encoded, exif, turned
from tests.uploads import Upload

SIZE = (320, 240)


def uploads() -> Iterator[Upload]:
    for name, data in (
        *_jpeg(),
        *_png(),
        *_tiff(),
        *_others(),
        *_sides(),
        *_turned(),
        *_misnamed(),
    ):
        yield Upload(name, data, "done")


def _jpeg() -> Iterator[tuple[str, bytes]]:
    picture = corners(*SIZE)
    yield "cmyk.jpg", encoded(picture.convert("CMYK"))
    yield "grey.jpg", encoded(picture.convert("L"))
    yield "progressive.jpg", encoded(picture, progressive=True)
    yield "restarts.jpg", encoded(picture, restart_marker_rows=1)
    yield "24-megapixels.jpg", encoded(corners(6000, 4000))
    yield "two-pictures.jpg", _several("MPO", [picture, corners(*SIZE)])


def _png() -> Iterator[tuple[str, bytes]]:
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        yield f"mode-{mode}.png", encoded(corners(*SIZE).convert(mode), "PNG")
        yield f"mode-{mode}-large.png", encoded(corners(1600, 1200).convert(mode), "PNG")
    for size in (SIZE, (1600, 1200)):
        yield f"16-bit-{size[0]}.png", encoded(_sixteen_bit(*size), "PNG")
    yield "animated.png", _several("PNG", _frames(30))


def _tiff() -> Iterator[tuple[str, bytes]]:
    picture = corners(*SIZE)
    yield "16-bit.tif", encoded(_sixteen_bit(*SIZE), "TIFF")
    yield "float.tif", encoded(picture.convert("F"), "TIFF")
    yield "32-bit.tif", encoded(picture.convert("I"), "TIFF")
    yield "cmyk.tif", encoded(picture.convert("CMYK"), "TIFF")
    yield "fax.tif", encoded(picture.convert("1"), "TIFF", compression="group4")
    for kind in ("tiff_lzw", "tiff_deflate", "packbits", "jpeg"):
        yield f"{kind}.tif", encoded(picture, "TIFF", compression=kind)
    yield "big.tif", encoded(picture, "TIFF", big_tiff=True)
    yield "three-pages.tif", _several("TIFF", _frames(3))


def _others() -> Iterator[tuple[str, bytes]]:
    picture = corners(*SIZE)
    yield "alpha.webp", encoded(picture.convert("RGBA"), "WEBP", lossless=True)
    yield "alpha.avif", encoded(picture.convert("RGBA"), "AVIF", speed=10)
    yield "upside-down.bmp", _top_down(encoded(picture, "BMP"))
    yield "animated.gif", _several("GIF", _frames(60))
    yield "animated.webp", _several("WEBP", _frames(60))


def _sides() -> Iterator[tuple[str, bytes]]:
    for width, height in ((1, 1), (1, 20_000), (20_000, 1), (2, 9_999), (3, 5)):
        yield f"{width}x{height}.png", encoded(Image.new("RGB", (width, height), "teal"), "PNG")


def _turned() -> Iterator[tuple[str, bytes]]:
    for orientation in (0, *range(1, 10), 65_535):
        stored = turned(corners(*SIZE), orientation)
        yield f"turned-{orientation}.jpg", encoded(stored, exif=exif(t274=orientation))
    for kind, ending in (("PNG", "png"), ("WEBP", "webp"), ("TIFF", "tif")):
        yield f"turned.{ending}", encoded(turned(corners(*SIZE), 6), kind, exif=exif(t274=6))


def _misnamed() -> Iterator[tuple[str, bytes]]:
    named = {
        "PNG": "jpg",
        "JPEG": "png",
        "WEBP": "jpg",
        "GIF": "jpeg",
        "TIFF": "gif",
        "BMP": "webp",
    }
    for kind, ending in named.items():
        yield f"really-{kind.lower()}.{ending}", encoded(corners(64, 48), kind)
    yield "no-ending", encoded(corners(64, 48))
    yield "two-endings.jpg.php", encoded(corners(64, 48))


def _sixteen_bit(width: int, height: int) -> Image.Image:
    grey = corners(width, height).convert("L").tobytes()
    return Image.frombytes(
        "I;16", (width, height), b"".join(struct.pack("<H", v * 257) for v in grey)
    )


def _frames(count: int) -> list[Image.Image]:
    return [Image.new("RGB", (64, 48), (number * 4 % 256, 90, 9)) for number in range(count)]


def _several(kind: str, pictures: list[Image.Image]) -> bytes:
    out = io.BytesIO()
    pictures[0].save(out, kind, save_all=True, append_images=pictures[1:])
    return out.getvalue()


def _top_down(bmp: bytes) -> bytes:
    return bmp[:22] + struct.pack("<i", -SIZE[1]) + bmp[26:]
