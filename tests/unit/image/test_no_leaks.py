"""What an upload says beside its pixels is in no output unless it was asked for."""

from __future__ import annotations

import io
import struct

import pytest
from PIL import Image, ImageCms, PngImagePlugin

from imgpipe.runtime import image
from imgpipe.runtime.settings import Limits
from tests.hostile import chunk
from tests.pictures import corners, encoded

CANARY = "Canary-5119"
PICTURE = corners(120, 90)


def _exif() -> Image.Exif:
    made = Image.Exif()
    for tag in (0x010E, 0x010F, 0x0110, 0x0131, 0x013B, 0x8298):
        made[tag] = CANARY
    made.get_ifd(0x8769).update({0x9286: b"ASCII\0\0\0" + CANARY.encode(), 0xA434: CANARY})
    made.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.5), 29: CANARY})
    return made


def _xmp() -> bytes:
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/">{CANARY}</x:xmpmeta>'.encode()


def _profile() -> bytes:
    """Return a profile with the canary where its copyright was."""
    plain = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    at = plain.index(b"N\0o\0 \0c\0o\0p\0y") if b"N\0o\0 \0c\0o\0p\0y" in plain else len(plain) - 22
    return plain[:at] + CANARY.encode() + plain[at + len(CANARY) :]


def _jpeg() -> bytes:
    made = encoded(
        PICTURE, exif=_exif(), xmp=_xmp(), comment=CANARY.encode(), icc_profile=_profile()
    )
    iptc = b"Photoshop 3.0\x008BIM\x04\x04" + CANARY.encode()
    segment = b"\xff\xed" + struct.pack(">H", len(iptc) + 2) + iptc
    return made[:2] + segment + made[2:] + CANARY.encode()


def _png() -> bytes:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", CANARY)
    texts.add_text("Author", CANARY, zip=True)
    texts.add_itxt("XML:com.adobe.xmp", _xmp().decode())
    made = encoded(PICTURE, "PNG", pnginfo=texts, exif=_exif())
    return made[:-12] + chunk(b"caNa", CANARY.encode()) + made[-12:] + CANARY.encode()


def _gif() -> bytes:
    frames = [PICTURE.quantize(8), PICTURE.rotate(180).quantize(8)]
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], comment=CANARY.encode())
    return out.getvalue() + CANARY.encode()


def _webp() -> bytes:
    return encoded(PICTURE, "WEBP", exif=_exif(), xmp=_xmp(), icc_profile=_profile())


def _tiff() -> bytes:
    return encoded(
        PICTURE, "TIFF", exif=_exif(), tiffinfo={270: CANARY, 700: _xmp(), 33432: CANARY}
    )


SOURCES = {"jpeg": _jpeg, "png": _png, "gif": _gif, "webp": _webp, "tiff": _tiff}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("made", ["jpeg", "png", "webp", "avif", "gif"])
def test_nothing_but_the_pixels_comes_out(source: str, made: str) -> None:
    data = SOURCES[source]()
    assert CANARY.encode() in data
    variants = {"large": {"width": 120, "format": made}, "small": {"width": 30, "format": made}}
    settings = {"sizes": {"variants": variants}, "metadata": {"exif": True, "gps": "keep"}}
    for picture in image.make(data, settings, Limits())["sizes"].variants.values():
        assert CANARY.encode() not in picture.data
        opened = Image.open(io.BytesIO(picture.data))
        assert not opened.getexif()
        assert CANARY not in repr(opened.info)
