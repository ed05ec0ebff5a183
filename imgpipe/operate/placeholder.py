"""What a picture looks like before it is there: its BlurHash as a tiny PNG, to be stretched by whoever shows it.

The decoder is the reference's (https://github.com/woltapp/blurhash, Algorithm.md), at 12 x 12 pixels: a browser's own
smoothing does the rest, and forty of them take a few milliseconds.
"""

from __future__ import annotations

import base64
import io
import math
from functools import lru_cache

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"
SIDE = 12


@lru_cache(maxsize=4096)
def data_uri(blurhash: str) -> str:
    """Return a `data:` URI of the PNG; "" for what is no BlurHash."""
    from PIL import Image

    try:
        pixels = _decode(blurhash)
    except (ValueError, IndexError, KeyError):
        return ""
    file = io.BytesIO()
    Image.frombytes("RGB", (SIDE, SIDE), pixels).save(file, "PNG", compress_level=9)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _decode(text: str) -> bytes:
    size = _number(text[0])
    across, down = size % 9 + 1, size // 9 + 1
    if len(text) != 4 + 2 * across * down:
        raise ValueError(text)
    most = (_number(text[1]) + 1) / 166
    parts = [_average(_number(text[2:6]))]
    parts += [_detail(_number(text[at : at + 2]), most) for at in range(6, len(text), 2)]
    return bytes(
        _to_srgb(
            sum(
                parts[i + j * across][channel] * _WAVES[i][x] * _WAVES[j][y]
                for j in range(down)
                for i in range(across)
            )
        )
        for y in range(SIDE)
        for x in range(SIDE)
        for channel in range(3)
    )


_WAVES = [[math.cos(math.pi * at * wave / SIDE) for at in range(SIDE)] for wave in range(9)]


def _number(digits: str) -> int:
    value = 0
    for digit in digits:
        value = value * 83 + DIGITS.index(digit)
    return value


def _average(value: int) -> tuple[float, float, float]:
    return _to_linear(value >> 16), _to_linear(value >> 8 & 255), _to_linear(value & 255)


def _detail(value: int, most: float) -> tuple[float, float, float]:
    red, green, blue = (
        math.copysign(((step - 9) / 9) ** 2, step - 9) * most
        for step in (value // 361, value // 19 % 19, value % 19)
    )
    return red, green, blue


def _to_linear(value: int) -> float:
    share = value / 255
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4


def _to_srgb(value: float) -> int:
    share = min(max(value, 0.0), 1.0)
    curved = share * 12.92 if share <= 0.0031308 else 1.055 * share ** (1 / 2.4) - 0.055
    return round(curved * 255)
