"""Files that are no pictures but say so, and pictures that are something else besides."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Iterator

from tests.hostile import png
from tests.pictures import corners, encoded
from tests.uploads import Upload
from tests.uploads.metadata import SCRIPT, segment, with_segments

NO_PICTURE = ("unsupported_format", "corrupt_image")
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"'
LINK = b'xmlns:xlink="http://www.w3.org/1999/xlink"'


def uploads() -> Iterator[Upload]:
    for name, data in _others():
        yield Upload(name, data, "rejected", NO_PICTURE)
    for name, data in _both():
        yield Upload(name, data, "done")
    script = b"GIF89a/*\0\0\0*/=1;alert(1);//" + bytes(20)
    yield Upload("script.gif", script, "either")


def _others() -> Iterator[tuple[str, bytes]]:
    yield "text.jpg", b"hello, I am not a picture\n" * 20
    yield "page.png", b"<html>" + SCRIPT.encode() + b"</html>"
    yield "php.jpg", b'<?php system($_GET["c"]); ?>'
    yield "script.svg", SVG + b' onload="alert(1)"><script>alert(1)</script></svg>'
    reach = b'<image xlink:href="http://169.254.169.254/latest/"/><image xlink:href="file:///etc/passwd"/>'
    yield "reaching.svg", SVG + b" " + LINK + b">" + reach + b"</svg>"
    entities = b"".join(
        b'<!ENTITY %c "%s">' % (98 + n, (b"&%c;" % (97 + n)) * 10) for n in range(9)
    )
    yield (
        "laughs.svg",
        b'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY a "AAAAAAAAAA">'
        + entities
        + b"]><svg>&j;</svg>",
    )
    yield (
        "magick.jpg",
        b"push graphic-context\nfill 'url(https://127.0.0.1/x.jpg\"|touch \"/tmp/pwned)'\n",
    )
    yield (
        "postscript.jpg",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%touch /tmp/pwned) (w) file\n",
    )
    yield "paper.pdf", b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF"
    yield "program.jpg", b"MZ" + bytes(200)
    yield "packed.jpg", gzip.compress(encoded(corners(), "JPEG"))
    yield "archive.png", _archive("a.png", bytes(20_000_000))


def _both() -> Iterator[tuple[str, bytes]]:
    """Yield pictures with a script, a page or an archive inside: none of it may come out again."""
    picture = encoded(corners(), "JPEG")
    yield (
        "page-inside.jpg",
        with_segments(picture, segment(0xFE, b"<html><script>alert(1)</script><!--")),
    )
    yield (
        "paper-inside.jpg",
        with_segments(picture, segment(0xFE, b"\n%PDF-1.4\n1 0 obj<<>>endobj\n")),
    )
    yield "page-behind.png", png(64, 64, 8, 2) + SCRIPT.encode()
    yield "archive-behind.gif", encoded(corners(), "GIF") + _archive("x.class", b"\xca\xfe\xba\xbe")
    yield "five-megabytes-behind.jpg", picture + bytes(range(256)) * 20_000


def _archive(name: str, data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr(name, data)
    return out.getvalue()
