"""The two uploads of a self-test: a picture that every step can work on, and bytes that are none."""

from __future__ import annotations

import io

POISON = b"This is no image. imgpipe selftest put it here to see that it is refused.\n"
SIDE = 320


def good() -> bytes:
    """Return a small JPEG: a gradient, so that no filter finds it empty."""
    from PIL import Image

    red, green = Image.linear_gradient("L"), Image.linear_gradient("L").rotate(90)
    picture = Image.merge("RGB", (red, green, Image.radial_gradient("L"))).resize((SIDE, SIDE))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=85)
    return out.getvalue()
