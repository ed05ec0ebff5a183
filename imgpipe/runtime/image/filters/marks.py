"""What is laid on a finished variant: a text or a picture, and a border around it.

Measures are shares of the variant, so that a thumbnail carries the same mark as a large picture. The
font that is shipped knows Latin, Greek and Cyrillic letters; another one may lie beside the handler.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageColor

from imgpipe.runtime.image.colour import is_grey
from imgpipe.runtime.image.filters.registry import Value, fields, number, register
from imgpipe.runtime.image.geometry import GRAVITIES
from imgpipe.runtime.image.resampling import resize

if TYPE_CHECKING:
    from PIL import ImageFont

    from imgpipe.runtime.image.geometry import Point, Size

FONT = Path(__file__).with_name("DejaVuSans.ttf")
WATERMARK = ("text", "image", "size", "colour", "opacity", "position", "margin", "font")
BORDER = ("width", "colour")
OUTLINE = 0.06
"""Of the letters' height: a thin outline keeps white letters legible on a white sky."""
SMALLEST_LETTERS = 6
NO_LETTER = "\uffff"
"""No font has it (The Unicode Standard, 23.7)."""


def _border_width(value: Value) -> int:
    try:
        return int(number(fields(value, "width", BORDER).get("width"), 10, 0, 1000))
    except ValueError as error:
        raise ValueError(f"width, in pixels: {error}") from error


@register("border", phase="finish", margin=_border_width)
def border(im: Image.Image, value: Value) -> Image.Image:
    """Put a frame around the picture: `{width: 10, colour: "#ffffff"}`, or a width in pixels.

    A variant fits its size with the frame: the picture in it becomes smaller.
    """
    width = _border_width(value)
    colour = fields(value, "width", BORDER).get("colour", "#ffffff")
    shown = _able_to_show(im, str(colour))
    framed = Image.new(
        shown.mode, (im.width + 2 * width, im.height + 2 * width), _in_mode(str(colour), shown.mode)
    )
    framed.paste(shown, (width, width))
    return framed


@register("watermark", phase="finish")
def watermark(im: Image.Image, value: Value) -> Image.Image:
    """Lay a text or a picture over a corner: "© Studio", or a mapping with `text` or `image` and

    size: the letters' height in percent of the shorter side (4), or the mark's width in percent of
        the picture's (20);
    colour ("#ffffff"), opacity from 0 to 1 (0.7), position (bottom-right), margin in percent of the
    shorter side (2), font: a file beside the handler.
    """
    asked = fields(value, "text", WATERMARK)
    if bool(asked.get("text")) == bool(asked.get("image")):
        raise ValueError("give it a `text` or an `image`")
    at, margin = _position(asked, im.size)
    room = (max(1, im.width - 2 * margin), max(1, im.height - 2 * margin))
    colour = str(asked.get("colour", "#ffffff"))
    if asked.get("text"):
        shown = _able_to_show(im, colour)
        mark = _text_mark(str(asked["text"]), asked, colour, im.size, room)
    else:
        shown = im.convert("RGB") if im.mode == "L" else im
        mark = _image_mark(str(asked["image"]), asked, im.size, room)
    left = margin + round((room[0] - mark.width) * at[0])
    top = margin + round((room[1] - mark.height) * at[1])
    return _laid_on(shown, _faded(mark, asked), (max(0, left), max(0, top)))


def _setting(asked: dict[str, Any], name: str, default: float, low: float, high: float) -> float:
    try:
        return number(asked.get(name), default, low, high)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _position(asked: dict[str, Any], size: Size) -> tuple[Point, int]:
    name = asked.get("position", "bottom-right")
    if name not in GRAVITIES:
        raise ValueError(f"position: one of {', '.join(GRAVITIES)}")
    share = _setting(asked, "margin", 2, 0, 49)
    return GRAVITIES[name], round(min(size) * share / 100)


def _text_mark(
    text: str, asked: dict[str, Any], colour: str, size: Size, room: Size
) -> Image.Image:
    """Return the text, made smaller if it is too wide for the picture."""
    from PIL import ImageDraw

    share = _setting(asked, "size", 4, 0.1, 100)
    height = max(SMALLEST_LETTERS, min(size) * share / 100)
    font_file = str(asked.get("font") or FONT)
    lacking = _lacking(font_file, text)
    if lacking:
        raise ValueError(f"the font has no {lacking}: name one that has with `font`")
    wide = _font(font_file, 100).getlength(text) / 100
    height = min(height, room[0] / max(wide, 0.01))
    font = _font(font_file, max(1, round(height)))
    outline = max(1, round(height * OUTLINE))
    left, top, right, bottom = (round(edge) for edge in font.getbbox(text, stroke_width=outline))
    mark = Image.new("RGBA", (max(1, right - left), max(1, bottom - top)), (0, 0, 0, 0))
    ImageDraw.Draw(mark).text(
        (-left, -top),
        text,
        ImageColor.getrgb(colour),
        font,
        stroke_width=outline,
        stroke_fill=_opposite(colour),
    )
    return mark


@lru_cache(maxsize=32)
def _font(file: str, height: int) -> ImageFont.FreeTypeFont:
    """Return a font. The basic layout is the same everywhere; the other depends on libraries."""
    from PIL import ImageFont

    return ImageFont.truetype(file, height, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=32)
def _lacking(file: str, text: str) -> str:
    """Return the letters of `text` that the font has no picture of: it draws one and the same for
    all of these, often nothing.
    """
    font = _font(file, 100)
    nothing = _drawn(font, NO_LETTER)
    shown = (each for each in dict.fromkeys(text) if each.isprintable() and not each.isspace())
    return "".join(each for each in shown if _drawn(font, each) == nothing)


def _drawn(font: ImageFont.FreeTypeFont, letter: str) -> tuple[float, bytes]:
    return font.getlength(letter), bytes(font.getmask(letter))


def _opposite(colour: str) -> tuple[int, int, int, int]:
    red, green, blue = ImageColor.getrgb(colour)[:3]
    return (0, 0, 0, 110) if red + green + blue > 382 else (255, 255, 255, 110)


def _image_mark(file: str, asked: dict[str, Any], size: Size, room: Size) -> Image.Image:
    share = _setting(asked, "size", 20, 0.1, 100)
    logo = _logo(file)
    scale = min(size[0] * share / 100 / logo.width, room[0] / logo.width, room[1] / logo.height)
    return resize(logo, (max(1, round(logo.width * scale)), max(1, round(logo.height * scale))))


@lru_cache(maxsize=8)
def _logo(file: str) -> Image.Image:
    from imgpipe.runtime.image import formats

    formats.load_plugin(formats.sniff(Path(file).read_bytes()[:256]))
    with Image.open(file) as found:
        return found.convert("RGBA")


def _faded(mark: Image.Image, asked: dict[str, Any]) -> Image.Image:
    opacity = _setting(asked, "opacity", 0.7, 0, 1)
    faded = mark.copy()
    faded.putalpha(mark.getchannel("A").point([round(level * opacity) for level in range(256)]))
    return faded


def _laid_on(im: Image.Image, mark: Image.Image, at: tuple[int, int]) -> Image.Image:
    made = im.copy()
    if im.mode == "RGBA":
        made.alpha_composite(mark, at)
    else:
        made.paste(mark.convert(im.mode), at, mark.getchannel("A"))
    return made


def _able_to_show(im: Image.Image, colour: str) -> Image.Image:
    """Return `im` in a mode that has `colour`."""
    return im if im.mode != "L" or is_grey(colour) else im.convert("RGB")


def _in_mode(colour: str, mode: str) -> Any:
    return ImageColor.getcolor(colour, mode)
