"""A PNG's pixels by libvips (package `pyvips-binary`), where a function carries it.

A PNG stores what each byte differs from its neighbours by. Undoing that is half of the time that Pillow takes for a
large photograph, a byte at a time; the libpng within libvips does it with vector instructions, on both of Lambda's
processors. It is 9 MB of zip for one format, so who wants it names it in requirements.txt.

It gives pixels and nothing else. What the file says of itself, and whether it is broken, is Pillow's word: the rows
come to Pillow as it would have them after its own unpacking, some at a time. The few functions that it takes are called
as the package `pyvips` calls them, which has no wheel, so that pip couldn't fetch it for another machine.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

try:
    from _libvips import ffi, lib
except ImportError:
    lib = None

AVAILABLE = lib is not None
AT_ONCE = 1 << 20
"""Bytes of rows that are handed on at once."""
HOW = b"access=sequential,fail_on=error"
UCHAR, USHORT = 0, 2
"""VipsBandFormat: 8 and 16 bits."""
SAMPLES = {
    "L": ("L", 1, UCHAR),
    "LA": ("LA", 2, UCHAR),
    "RGB": ("RGB", 3, UCHAR),
    "RGBA": ("RGBA", 4, UCHAR),
    "I;16B": ("I;16N", 1, USHORT),
    "RGB;16B": ("RGB;16N", 3, USHORT),
    "RGBA;16B": ("RGBA;16N", 4, USHORT),
}
"""Pillow's names of what a PNG stores and of what libvips makes of it, its channels and their type."""


def load(im: Any) -> bool:
    """Decode the pixels of a PNG that Pillow has opened and that has one frame. Returns whether it did.

    It leaves to others what libvips would change, palettes, few bits and transparent colours, and interlaced files,
    which it would unpack into memory whole. Raises whatever is wrong with the file; then it must be opened anew.
    """
    (tile,) = im.tile
    if tile.args not in SAMPLES or "transparency" in im.info or im.info.get("interlace"):
        return False
    rawmode, *samples = SAMPLES[tile.args]
    rows = _Rows(im.fp.getvalue())
    if rows.kind != [*im.size, *samples]:
        return False
    im.tile = [tile._replace(codec_name="raw", args=(rawmode, 0, 1))]
    im.load_read = rows.read
    im.load()
    del im.load_read
    return True


class _Rows:
    """The rows of a PNG from top to bottom, numbers of 16 bits as this machine has them.

    `kind` is width, height, channels and their type.
    """

    def __init__(self, data: bytes) -> None:
        started()
        self._data = ffi.from_buffer(data)  # libvips reads it where it is
        image = _opened(self._data, len(data))
        self.kind = [_number(image, name) for name in (b"width", b"height", b"bands", b"format")]
        self._width, self._height, bands, kind = self.kind
        self._region = _owned(lib.vips_region_new(image))
        self._count = max(1, AT_ONCE // (self._width * bands * (1 if kind == UCHAR else 2)))
        self._next = 0

    def read(self, _size: int) -> Any:
        """Return the next rows; nothing at the end."""
        top = self._next
        self._next = min(top + self._count, self._height)
        if top == self._next:
            return b""
        size = ffi.new("size_t *")
        found = lib.vips_region_fetch(self._region, 0, top, self._width, self._next - top, size)
        return ffi.buffer(ffi.gc(_there(found), lib.g_free), size[0])


@cache
def started() -> None:
    """Start libvips, once in a process."""
    os.environ.setdefault("VIPS_WARNING", "1")  # any value: none on stderr
    if lib.vips_init(b"imgpipe"):
        raise OSError("libvips can't start")
    lib.vips_cache_set_max(0)  # it would keep what it made of the last hundred files


def _opened(data: Any, size: int) -> Any:
    """Return the image of a PNG in memory; no pixel is decoded."""
    source = _owned(lib.vips_source_new_from_memory(data, size))
    asked = _owned(lib.vips_operation_new(b"pngload_source"))
    if lib.vips_object_set_from_string(ffi.cast("VipsObject *", asked), HOW):
        _there(ffi.NULL)
    with_source = _value(b"VipsSource")
    lib.g_value_set_object(with_source, source)
    lib.g_object_set_property(ffi.cast("GObject *", asked), b"source", with_source)
    done = lib.vips_cache_operation_build(asked)
    if done == ffi.NULL:
        lib.vips_object_unref_outputs(ffi.cast("VipsObject *", asked))
    done = _owned(done)
    out = _value(b"VipsImage")
    lib.g_object_get_property(ffi.cast("GObject *", done), b"out", out)
    image = ffi.cast("VipsImage *", lib.g_value_get_object(out))
    lib.g_object_ref(image)
    lib.vips_object_unref_outputs(ffi.cast("VipsObject *", done))
    return _owned(image)


def _number(image: Any, name: bytes) -> int:
    found = ffi.new("GValue *")
    lib.vips_image_get(image, name, found)
    get = lib.g_value_get_enum if name == b"format" else lib.g_value_get_int
    return int(get(found))


def _value(kind: bytes) -> Any:
    """Return a place for an object of that type, which is let go with it."""
    made = ffi.gc(ffi.new("GValue *"), lib.g_value_unset)
    lib.g_value_init(made, lib.g_type_from_name(kind))
    return made


def _owned(pointer: Any) -> Any:
    return ffi.gc(_there(pointer), lib.g_object_unref)


def _there(pointer: Any) -> Any:
    """Return `pointer`. Raises ValueError with what libvips says if there is none."""
    if pointer == ffi.NULL:
        why = ffi.string(lib.vips_error_buffer()).decode(errors="replace").strip()
        lib.vips_error_clear()
        raise ValueError(why)
    return pointer
