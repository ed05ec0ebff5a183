"""What is told about a picture: its own measures, the camera's notes, the place, its colours. JSON
values only.

    header      format, size, mode, frames, bit depth, profile       every step
    camera      EXIF: camera, lens, exposure, time                   `exif: true`
    place       the position, under a policy                         `exif: true` and `gps`
    colours     average, main colours, BlurHash                      `palette: 5`
    measures    brightness, sharpness, perceptual hash               `tags: basic`
    tags        words computed from all these                        `tags: basic`
    kept        what of the original's metadata goes into a variant  a variant's `metadata`
    values      texts, numbers and moments of strangers, made sane

Metadata comes from strangers and from broken software: it is read after the pixels, each part in a
`try` of its own, cut to sane lengths, and never costs a good picture its variants. A place is
personal: by default it isn't told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PIL import Image

from imgpipe.runtime.image.facts import header as headers
from imgpipe.runtime.image.geometry import scaled
from imgpipe.runtime.image.resampling import resize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from imgpipe.runtime.image.geometry import Size
    from imgpipe.runtime.image.opening import Opened

SAMPLE_SIDE = 64
"""Pixels of the copy that colours are read off."""
COLOURED_SIDE = 40
"""Pixels along the longer side that are taken, as they are, for the main colours. Five of them are nearer
to all pixels (32.3 levels, on the mean of 13 photographs) than five of a copy of 64 pixels (33.8), where
neighbours are blended, and take 0.6 ms in place of 1.4.
"""
MEASURED_SIDE = 512
"""Pixels of the copy that is measured: in a smaller one every picture is sharp."""
PREVIEW_SIDE = 1024
"""Pixels of the copy that a model is shown. Rekognition wants an object to be 5 % of the side at least."""

Facts = dict[str, Any]


def side(wanted: Iterable[Mapping[str, Any]]) -> int:
    """Return how large the sample must be that `of` and `preview` get, for all steps together."""
    asked = {settings.get("tags") for settings in wanted}
    if "rekognition" in asked:
        return PREVIEW_SIDE
    return MEASURED_SIDE if "basic" in asked else SAMPLE_SIDE


def of(
    opened: Opened, sample: Image.Image, settings: Mapping[str, Any], data: bytes = b""
) -> Facts:
    """Return the facts that a step's settings ask for. Never raises.

    `sample` is a copy, upright and in sRGB, not smaller than `side` says unless the picture is;
    `data` is the file.
    """
    facts = headers.header(opened)
    facts |= _guarded(lambda: headers.depth(opened, data))
    facts |= _guarded(lambda: headers.profile(opened.im))
    if settings.get("exif"):
        facts |= _noted(opened, settings)
    return facts | _guarded(lambda: _seen(opened, sample, settings, facts))


def basic(opened: Opened) -> Facts:
    """Return what the header says, upright."""
    return headers.header(opened)


def preview(sample: Image.Image) -> bytes:
    """Return a JPEG of the sample, without any metadata, for a model to look at."""
    from imgpipe.runtime.image.encoding import encode
    from imgpipe.runtime.image.geometry import Variant

    return encode(_within(sample, PREVIEW_SIDE), Variant(name="", quality=85)).data


def _noted(opened: Opened, settings: Mapping[str, Any]) -> Facts:
    from imgpipe.runtime.image.facts import camera, place

    noted = _guarded(lambda: camera.camera(opened.im.getexif()))
    return {
        **({"exif": noted} if noted else {}),
        **_guarded(lambda: place.place(opened.im.getexif(), place.policy(settings, "row"))),
    }


def _seen(opened: Opened, sample: Image.Image, settings: Mapping[str, Any], told: Facts) -> Facts:
    """Return what the pixels say. Making a copy costs most: the small one is made of the larger."""
    count, tagged = settings.get("palette"), settings.get("tags") in ("basic", "rekognition")
    if not count and not tagged:
        return {}
    copy = _rgb(_within(sample, MEASURED_SIDE if tagged else SAMPLE_SIDE))
    small = _within(copy, SAMPLE_SIDE)
    found = _guarded(lambda: _colours(small, sample, int(count or 0))) if count else {}
    if tagged:
        alpha = sample.mode == "RGBA"
        found |= _guarded(lambda: _tagged(opened, copy, small, told, alpha=alpha))
    return found


def _colours(small: Image.Image, sample: Image.Image, count: int) -> Facts:
    from imgpipe.runtime.image.facts.colours import colours

    if max(sample.size) <= SAMPLE_SIDE:
        return colours(small, small, count)
    few = sample.resize(_size_within(sample, COLOURED_SIDE), Image.Resampling.NEAREST)
    return colours(small, _rgb(few), count)


def _tagged(
    opened: Opened, copy: Image.Image, small: Image.Image, told: Facts, *, alpha: bool
) -> Facts:
    from imgpipe.runtime.image.facts import measures, tags

    found = measures.measures(copy, small)
    names = tags.basic(
        {**told, **found},
        small,
        measures.chroma(small),
        alpha=alpha,
        camera=bool(_guarded(lambda: _camera(opened))),
    )
    return {**found, "tags": tags.named(names, "basic")}


def _camera(opened: Opened) -> Facts:
    from imgpipe.runtime.image.facts import camera

    told = camera.camera(opened.im.getexif())
    return {name: told[name] for name in ("make", "camera") if name in told}


def _guarded(read: Callable[[], Facts]) -> Facts:
    try:
        return read()
    except Exception:  # noqa: BLE001 - see the module's docstring
        return {}


def _within(im: Image.Image, most: int) -> Image.Image:
    return resize(im, _size_within(im, most))


def _size_within(im: Image.Image, most: int) -> Size:
    return scaled(im.size, min(1.0, most / max(im.size)))


def _rgb(im: Image.Image) -> Image.Image:
    """Return `im` as RGB, on white where it is transparent."""
    from imgpipe.runtime.image.colour import flatten

    return flatten(im, "#ffffff").convert("RGB")
