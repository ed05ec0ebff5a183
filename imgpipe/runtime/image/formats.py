"""The formats that are read: told by a file's first bytes, each with the decoder that is imported
only when such a file comes.

A name is no evidence: what is called `.jpg` and begins like a PNG is a PNG.
"""

from __future__ import annotations

import importlib
import re

from imgpipe.runtime.errors import Reason, Rejected
from imgpipe.runtime.image.kinds import RAW, is_raw

PLUGINS = {
    "JPEG": "PIL.JpegImagePlugin",
    "PNG": "PIL.PngImagePlugin",
    "GIF": "PIL.GifImagePlugin",
    "WEBP": "PIL.WebPImagePlugin",
    "TIFF": "PIL.TiffImagePlugin",
    "BMP": "PIL.BmpImagePlugin",
    "AVIF": "PIL.AvifImagePlugin",
    "HEIF": "pi_heif.HeifImagePlugin",
    "JPEG2000": "PIL.Jpeg2KImagePlugin",
    "ICO": "PIL.IcoImagePlugin",
    "PPM": "PIL.PpmImagePlugin",
}
"""Pillow's name of each format, and the module that decodes it."""
READ = "JPEG, PNG, WebP, GIF, TIFF, AVIF, HEIC, JPEG 2000, BMP, ICO, PPM"
JPEG = b"\xff\xd8\xff"
MAGIC = (
    (JPEG, "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
    (b"\0\0\x01\0", "ICO"),
)
_PPM = re.compile(rb"P[1-6][ \t\r\n#]")
_AVIF = frozenset({b"avif", b"avis"})
_HEIC = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})


def sniff(data: bytes) -> str:
    """Return Pillow's name of the format. Raises Rejected when it is none that we take."""
    for magic, name in MAGIC:
        if data.startswith(magic):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp" and (found := _container(data)):
        return found
    if _PPM.match(data):
        return "PPM"
    raise _no_format(data)


def _no_format(data: bytes) -> Rejected:
    if not data:
        return Rejected(Reason.EMPTY_FILE)
    if len(data) >= 2 and any(magic.startswith(data) for magic, _ in MAGIC):
        return Rejected(Reason.TRUNCATED_IMAGE, f"there are only its first {len(data)} bytes")
    if data.startswith(b"\x89PNG"):  # the bytes after it are there to tell (ISO/IEC 15948)
        return Rejected(Reason.CORRUPT_IMAGE, "it is a PNG that was sent as if it were text")
    if is_raw(data):
        return Rejected(Reason.UNSUPPORTED_FORMAT, RAW)
    return Rejected(Reason.UNSUPPORTED_FORMAT, f"it is none of {READ}")


def _container(data: bytes) -> str | None:
    """Return what an ISO media file holds, by the brands that it names (ISO/IEC 23008-12, AV1
    Image File Format).
    """
    length = min(int.from_bytes(data[:4], "big"), 256)
    brands = {data[at : at + 4] for at in (8, *range(16, length, 4))}
    if brands & _AVIF:
        return "AVIF"
    return "HEIF" if brands & _HEIC else None


def load_plugin(name: str) -> None:
    """Import the decoder (and encoder) of a format.

    Raises Rejected when this function doesn't carry it.
    """
    try:
        importlib.import_module(PLUGINS[name])
    except ImportError as error:
        package = PLUGINS[name].partition(".")[0].replace("_", "-")
        raise Rejected(
            Reason.UNSUPPORTED_FORMAT,
            f"reading it takes `{package}` in the function's requirements.txt",
        ) from error
