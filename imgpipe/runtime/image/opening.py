"""From bytes to an opened image whose pixels aren't decoded yet: what it is, how large, and within
the limits or not.

The format is told by content; a file's name and declared type are ignored. Only the one decoder
that is needed is imported (all of Pillow's take 50 ms of a cold start). Whatever a decoder raises
becomes Rejected in `refusals`: Pillow's lets TypeError, IndexError, RuntimeError and a dozen others
escape, so a list of them would never be complete.
"""

from __future__ import annotations

import io
import os
import re
import sys
import warnings
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from PIL import Image, UnidentifiedImageError

from imgpipe.runtime.errors import Reason, Rejected, megabytes, megapixels
from imgpipe.runtime.image import counting, kinds, profiles
from imgpipe.runtime.image.formats import JPEG, load_plugin, sniff
from imgpipe.runtime.image.structure import PLAINLY, declared_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from imgpipe.runtime.image.geometry import Size
    from imgpipe.runtime.settings import Limits

Image._initialized = 1  # noqa: SLF001 - keeps `open` and `save` from importing five decoders where one is needed

ORIENTATION = 0x0112
PNG_GREYS = frozenset({"1", "L", "I;16"})
PNG_METADATA = frozenset({b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf"})
MAX_SCANNED_PIXELS = 5_000_000_000
"""Pixels times scans of a progressive JPEG.

A real one has about ten scans; thousands are made to take minutes.
"""
WORTH_VIPS_PIXELS = 1_000_000
"""Pixels of a PNG from which loading libvips, once in a process, is soon paid back."""
WEBP_BYTES_PER_PIXEL = 12
"""Two canvases of the decoder, one of which Pillow copies."""
BYTES_PER_PIXEL = {"1": 1, "L": 1, "P": 1, "LA": 4, "I;16": 7}
"""What decoding to 8 bit holds at once.

Pillow stores RGB in four bytes a pixel; 4 is the default.
"""


_PNG_DEPTH_AT = 24
"""In the header, behind width and height."""
OUT_OF_MEMORY = re.compile(
    r"(out of|not enough|insufficient) memory|memory allocation (error|failed)"
    r"|(could not|couldn't|can't|cannot|failed to) allocate"
)
"""What libavif, libheif, libtiff, libwebp and others say where Python would raise MemoryError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An image whose header is read. `size` is upright; `stored` is as the file holds it."""

    im: Image.Image
    format: str  # JPEG, PNG, …: a multi-picture JPEG is a JPEG
    stored: Size
    orientation: int  # 1 to 8, as EXIF numbers them; what is still to be applied
    frames: int
    mode: str

    @property
    def size(self) -> Size:
        return turned(self.stored, self.orientation)

    @property
    def grey(self) -> bool:
        """Whether it can have no colours; a GIF's first frame may be grey before coloured ones."""
        return self.mode in ("LA", "La") or (self.format == "PNG" and self.mode in PNG_GREYS)


def turned(size: Size, orientation: int) -> Size:
    return (size[1], size[0]) if orientation >= 5 else size


def open_image(data: bytes, limits: Limits) -> Opened:
    """Open an image by content and check its header against `limits`. Raises Rejected.

    A PNG is decoded here: its EXIF may come behind the pixels, and Pillow decodes them to look for
    it.
    """
    name = sniff(data)
    if name == "WEBP":
        _check_canvas(declared_size(data), limits)
    if name == "TIFF" and kinds.is_raw(data):
        raise Rejected(Reason.UNSUPPORTED_FORMAT, kinds.RAW)
    load_plugin(name)
    with refusals():
        if name == "PNG":
            return _open_png(data, limits)
        return _read_header(name, data, limits)


def _check_canvas(size: Size, limits: Limits) -> None:
    """Refuse a WebP whose canvases don't fit: its decoder takes them as soon as it is opened."""
    _check_pixels(size, limits)
    needed = size[0] * size[1] * WEBP_BYTES_PER_PIXEL
    if needed > limits.max_decoded_bytes:
        raise _too_much_memory(needed, limits)


def _open_png(data: bytes, limits: Limits) -> Opened:
    try:
        opened = _loaded_png(data, limits)
    except ValueError as error:
        if "too large" not in str(error).lower():
            raise
        # Texts or a profile that unpack to gigabytes. The picture may be good: try it without them.
        opened = _loaded_png(png_pixels_only(data), limits)
    _scale_clear_colour(opened.im, depth=data[_PNG_DEPTH_AT])
    return replace(opened, orientation=_orientation(opened.im))


def _scale_clear_colour(im: Image.Image, *, depth: int) -> None:
    """Bring the one colour that a PNG calls clear to the depth of the pixels that Pillow made of it.

    Of 16 bits a colour, Pillow keeps the upper eight: what differs in the others alone is clear as well.
    """
    clear = im.info.get("transparency")
    if im.mode == "L" and depth < 8 and isinstance(clear, int):
        im.info["transparency"] = clear * 255 // (2**depth - 1)
    elif im.mode == "RGB" and depth == 16 and isinstance(clear, tuple):
        im.info["transparency"] = tuple(part >> 8 for part in clear)


def _loaded_png(data: bytes, limits: Limits) -> Opened:
    opened = _read_header("PNG", data, limits)
    check_memory(opened.im, opened.stored, limits)
    for load in _quick(opened):
        try:
            if load(opened.im):
                return opened
        except Exception:  # noqa: BLE001 - whether the file is broken, and how, Pillow's own way tells
            opened = _read_header("PNG", data, limits)
    opened.im.load()
    return opened


def _quick(opened: Opened) -> Iterator[Callable[[Image.Image], bool]]:
    """Yield the decoders of a PNG's pixels that are quicker than Pillow's own, the quickest first."""
    if opened.frames > 1:
        return
    if opened.stored[0] * opened.stored[1] >= WORTH_VIPS_PIXELS:
        from imgpipe.runtime.image import unfiltering  # a cold start for others goes without

        if unfiltering.AVAILABLE:
            yield unfiltering.load
    from imgpipe.runtime.image import inflating

    if inflating.AVAILABLE:
        yield inflating.load


def png_pixels_only(data: bytes) -> bytes:
    """Return the PNG without its compressed texts, profile and EXIF."""
    kept, at = [data[:8]], 8
    while at + 8 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] not in PNG_METADATA:
            kept.append(data[at:end])
        at = end
    return b"".join(kept)


def _read_header(name: str, data: bytes, limits: Limits) -> Opened:
    im = Image.open(io.BytesIO(data), formats=(name,))
    frames = counting.frames(im, data, limits.max_frames)
    _check(im, frames, data, limits)
    if name == "JPEG2000":
        im.info["icc_profile"] = profiles.in_jpeg_2000(data)
    return Opened(
        im=im,
        format=name,
        stored=im.size,
        orientation=1 if name == "PNG" else _orientation(im),
        frames=frames,
        mode=im.mode,
    )


def _check(im: Image.Image, frames: int, data: bytes, limits: Limits) -> None:
    _check_pixels(im.size, limits)
    pixels = im.width * im.height
    if pixels <= 0:
        raise Rejected(Reason.CORRUPT_IMAGE, f"its size is {im.width} x {im.height}")
    if frames > limits.max_frames:
        raise Rejected(Reason.TOO_MANY_FRAMES, f"more than {limits.max_frames} frames")
    if data.startswith(JPEG) and pixels * counting.scans(data) > MAX_SCANNED_PIXELS:
        raise Rejected(Reason.TIME_LIMIT, f"{counting.scans(data)} scans of {megapixels(pixels)}")


def _check_pixels(size: Size, limits: Limits) -> None:
    width, height = size
    if width * height > limits.max_pixels:
        raise Rejected(
            Reason.TOO_MANY_PIXELS,
            f"{width} x {height}, {megapixels(width * height)}; "
            f"the limit is {megapixels(limits.max_pixels)}",
        )


def _too_much_memory(needed: int, limits: Limits) -> Rejected:
    there = megabytes(limits.max_decoded_bytes)
    return Rejected(Reason.MEMORY_LIMIT, f"decoding takes {megabytes(needed)}; there are {there}")


def check_memory(im: Image.Image, whole: Size, limits: Limits) -> None:
    """Refuse what can't be decoded within `limits.max_decoded_bytes`: out of memory, a function is
    killed.

    A progressive JPEG keeps its coefficients, three bytes a pixel of the whole, however small it is
    decoded.
    """
    needed = im.width * im.height * BYTES_PER_PIXEL.get(im.mode, 4)
    if im.info.get("progressive"):
        needed += 3 * whole[0] * whole[1]
    if needed > limits.max_decoded_bytes:
        raise _too_much_memory(needed, limits)


def _orientation(im: Image.Image) -> int:
    """Return the orientation to be applied after decoding:

    none for TIFF, which Pillow turns while it loads.
    """
    if im.format == "TIFF":
        return 1
    try:
        found = im.getexif().get(ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - broken metadata must not cost a good picture
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


@contextmanager
def refusals() -> Iterator[None]:
    """Translate whatever a decoder raises into Rejected."""
    try:
        yield
    except Rejected:
        raise
    except MemoryError as error:
        raise Rejected(Reason.MEMORY_LIMIT) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Rejected(Reason.TOO_MANY_PIXELS, _bomb(error)) from error
    except UnidentifiedImageError as error:
        why = "its first bytes are an image's, the rest of its header isn't"
        raise Rejected(Reason.CORRUPT_IMAGE, why, _theirs(error)) from error
    except Exception as error:
        reason = _reason(error)
        if reason is Reason.MEMORY_LIMIT:
            raise Rejected(reason, detail=_theirs(error)) from error
        raise Rejected(reason, PLAINLY[reason], _theirs(error)) from error


@contextmanager
def calm(data: bytes, limits: Limits) -> Iterator[None]:
    """Make the warning of a bomb, which is more pixels than `limits` allow, an error, and silence the rest;
    a TIFF's decoder, which writes to stderr, too. Afterwards the process has the limit that it had.

    One hostile TIFF writes 27 kB there; what matters of it is in the exception.
    """
    allowed = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings(), _muted() if data[:2] in (b"II", b"MM") else nullcontext():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        Image.MAX_IMAGE_PIXELS = limits.max_pixels
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = allowed


@contextmanager
def _muted() -> Iterator[None]:
    """Send the file descriptor of stderr to nowhere: C libraries know no other."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _bomb(error: Exception) -> str:
    """Return Pillow's "Image size (22118400 pixels) exceeds limit of …" in megapixels."""
    limit = megapixels(Image.MAX_IMAGE_PIXELS or 0)
    found = re.search(r"\((\d+) pixels", str(error))
    return f"{megapixels(int(found[1])) if found else 'too many'}; the limit is {limit}"


def _theirs(error: Exception) -> str:
    """Return a decoder's own words, for who looks for them."""
    return (str(error) or type(error).__name__)[:200]


def _reason(error: Exception) -> Reason:
    text = str(error).lower()
    if "max_text_memory" in text:
        return Reason.METADATA_TOO_LARGE
    if OUT_OF_MEMORY.search(text):
        return Reason.MEMORY_LIMIT
    cut = isinstance(error, EOFError) or "truncated" in text or "premature" in text
    return Reason.TRUNCATED_IMAGE if cut else Reason.CORRUPT_IMAGE
