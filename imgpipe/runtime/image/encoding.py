"""From pixels to a file's bytes.

What isn't in the pixels isn't in the file: no comment, of EXIF only what the variant asks to keep,
and a profile only if it is given. The same pixels make the same bytes, on one version of the encoder.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageChops

from imgpipe.runtime.image.colour import fitting_profile, flatten, is_grey
from imgpipe.runtime.image.formats import load_plugin
from imgpipe.runtime.image.sequence import played
from imgpipe.runtime.made import Picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgpipe.runtime.image.animation import Timing
    from imgpipe.runtime.image.geometry import Variant

WITH_EXIF = frozenset({"jpeg", "png", "webp", "avif"})
OPTIMISED_UP_TO = 800
"""Optimal Huffman tables save 2 % of a JPEG's bytes for 1.5 ms at 800 px, and 4 % for 5 ms at 1600 px."""
LONGEST_MS = 655_350
"""Of a frame of a GIF, which has 16 bits for hundredths of a second; Pillow adds up those of frames that are alike."""
SMOOTH_BITS = 0.75
"""Bits a pixel. A JPEG that takes fewer wastes up to a tenth of them on the usual tables, and is
encoded again with its own.
"""
WEBP_METHOD = 4
"""The encoder's effort, 0 to 6; 4 is libwebp's default. 2 takes half the time for 3 % more bytes."""
FULL_CHROMA_FROM = 90
"""From this quality on, colours are kept at full resolution: who asks for it wants to see it."""
AVIF_SPEED = 8
"""0 to 10. A photograph of 1600 px takes 0.6 s in place of 1.8 s at the usual 6, for 7 % more bytes."""
OPAQUE_FROM = 128
"""The alpha from which a pixel of a GIF is seen; the format knows only clear and opaque."""
_GIF_CLEAR = 255


def encode(im: Image.Image, variant: Variant, profile: bytes | None = None) -> Picture:
    """Encode an L, RGB or RGBA picture as the variant wants it.

    JPEG has no alpha: the background shows through. `profile` is embedded if it fits the pixels.
    """
    return _saved(_ready(im, variant), variant, profile)


def encode_frames(
    frames: Sequence[Image.Image],
    timing: Timing,
    variant: Variant,
    profile: bytes | None = None,
) -> Picture:
    """Encode an animation; all frames are of one size."""
    clear = any(frame.mode == "RGBA" for frame in frames)
    grey = all(frame.mode == "L" for frame in frames)
    alike = [frame.convert("RGBA" if clear else "L" if grey else "RGB") for frame in frames]
    first, *others = (_ready(frame, variant) for frame in alike)
    more: dict[str, Any] = {
        "save_all": True,
        "append_images": others,
        "duration": list(timing.durations_ms),
    }
    if variant.format == "gif":
        more |= {"disposal": 2 if clear else 1, "duration": _tens(timing.durations_ms)}
        more |= {} if timing.plays == 1 else {"loop": max(0, timing.plays - 1)}
    else:
        more |= {"loop": timing.plays}
    return _saved(first, variant, profile, more)


def _tens(durations_ms: Sequence[int]) -> list[int]:
    """Return the durations in whole hundredths of a second, which a GIF counts in: what one frame
    loses the next one gets, so that the whole keeps its time, but for one of over eleven minutes.
    """
    most = LONGEST_MS if sum(durations_ms) <= LONGEST_MS else LONGEST_MS // len(durations_ms)
    made: list[int] = []
    wanted = 0
    for duration_ms in durations_ms:
        wanted += min(duration_ms, most)
        made.append(max(10, round((wanted - sum(made)) / 10) * 10))
    return made


def _saved(
    im: Image.Image, variant: Variant, profile: bytes | None, more: dict[str, Any] | None = None
) -> Picture:
    name = variant.format.upper()
    load_plugin(name)
    chosen = {**_options(variant), **_embedded(im, variant, profile), **(more or {})}
    data = _jpeg(im, chosen) if name == "JPEG" else _written(im, name, chosen)
    return Picture(data=data, width=im.width, height=im.height, format=variant.format)


def _jpeg(im: Image.Image, chosen: dict[str, Any]) -> bytes:
    small = max(im.size) <= OPTIMISED_UP_TO
    data = _written(im, "JPEG", {**chosen, "optimize": small})
    own_tables = small or chosen["progressive"]
    if own_tables or len(data) * 8 > SMOOTH_BITS * im.width * im.height:
        return data
    return _written(im, "JPEG", {**chosen, "optimize": True})


def _written(im: Image.Image, name: str, chosen: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    im.save(out, name, **chosen)
    moving = name == "AVIF" and chosen.get("save_all")
    return played(out.getvalue(), chosen["loop"]) if moving else out.getvalue()


def _embedded(im: Image.Image, variant: Variant, profile: bytes | None) -> dict[str, Any]:
    fitting = fitting_profile(profile, im.mode)
    made: dict[str, Any] = {"icc_profile": fitting} if fitting else {}
    if variant.exif and variant.format in WITH_EXIF:
        made["exif"] = variant.exif
    return made


def _options(variant: Variant) -> dict[str, Any]:
    match variant.format:
        case "jpeg":
            return {
                "quality": variant.quality,
                "subsampling": 0 if variant.quality >= FULL_CHROMA_FROM else 2,
                "progressive": variant.progressive,
            }
        case "webp":
            return {"quality": variant.quality, "method": WEBP_METHOD}
        case "avif":
            # With more threads the bytes depend on how many there are.
            return {"quality": variant.quality, "speed": AVIF_SPEED, "max_threads": 1}
        case _:
            return {}


def _ready(im: Image.Image, variant: Variant) -> Image.Image:
    """Return `im` in a mode that the format has."""
    match variant.format:
        case "jpeg":
            return _flat(im, variant.backdrop)
        case "gif":
            return _with_palette(im, variant.backdrop)
        case "png":
            return _plain(im)
        case _:
            return im


def _flat(im: Image.Image, background: str) -> Image.Image:
    """Return `im` on its background; a picture that was grey with alpha stays grey on a grey one."""
    flat = flatten(im, background)
    grey = im.mode == "RGBA" and is_grey(background) and not _is_coloured(flat)
    return flat.convert("L") if grey else flat


def _is_coloured(im: Image.Image) -> bool:
    red, green, blue = im.split()[:3]
    return any(ImageChops.difference(red, each).getbbox() for each in (green, blue))


def _plain(im: Image.Image) -> Image.Image:
    """Return grey with alpha where there is no colour: half the bytes."""
    if im.mode != "RGBA":
        return im
    return im if _is_coloured(im) else im.convert("LA")


def _with_palette(im: Image.Image, background: str) -> Image.Image:
    """Return `im` in 256 colours of its own, dithered; in 255 and a clear one if it has alpha."""
    if im.mode == "L":
        return im
    seen = flatten(im, background)
    clear = im.mode == "RGBA"
    colours = seen.quantize(_GIF_CLEAR if clear else 256, method=Image.Quantize.MEDIANCUT)
    made = seen.quantize(palette=colours, dither=Image.Dither.FLOYDSTEINBERG)
    if clear:
        hidden = [255 if level < OPAQUE_FROM else 0 for level in range(256)]
        made.paste(_GIF_CLEAR, mask=im.getchannel("A").point(hidden))
        made.info["transparency"] = _GIF_CLEAR
    return made
