"""Looking at objects themselves: is a key there decoded, is an output what its upload shows.

A handful of objects at most, and of each upload only as much as a picture of ordinary size has.
"""

from __future__ import annotations

import io
import re
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from imgpipe.operate.doctor.scene import Picture
from imgpipe.operate.parallel import together

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from PIL.Image import Image

    from imgpipe.operate.doctor.asking import Asking
    from imgpipe.operate.doctor.scene import Bucket, Scene

MAX_KEYS, MAX_PAIRS, MAX_BYTES = 5, 8, 8_000_000
MAX_PIXELS = 40_000_000
ORIENTATION, ON_ITS_SIDE = 0x0112, frozenset({5, 6, 7, 8})
DARK, CLEAR = 8, 8
_ENDING = re.compile(r"\.(?:jpe?g|png|webp|tiff?|gif)$", re.IGNORECASE)
_SPELLED = re.compile(r"%[0-9A-Fa-f]{2}|\+")


def undecoded(asking: Asking, scene: Scene) -> tuple[tuple[str, str], ...]:
    """Return who spoke of a key in the spelling of events, where S3 has it under its decoded name alone."""
    said = [
        (f"function {one.name}", key)
        for one in scene.functions.values()
        for key in dict.fromkeys(one.log.undecoded[-MAX_KEYS:])
    ]
    said += [
        (f"a row of table {table.name}", text)
        for table in scene.tables.values()
        for text in list(dict.fromkeys(_spelled(table.samples)))[:MAX_KEYS]
    ]
    known = {key for bucket in scene.buckets.values() for key in bucket.keys}
    return tuple((who, key) for who, key in said if _only_decoded(asking, scene, key, known))


def _spelled(items: Iterable[Any]) -> Iterator[str]:
    for item in items:
        for value in item.values():
            text = value.get("S", "")
            if _ENDING.search(text) and _SPELLED.search(text):
                yield text


def _only_decoded(asking: Asking, scene: Scene, key: str, known: set[str]) -> bool:
    decoded = unquote_plus(key)
    if key in known:
        return False
    if decoded in known:
        return True
    return any(
        _is_there(asking, name, decoded) and not _is_there(asking, name, key)
        for name, bucket in scene.buckets.items()
        if not bucket.missing
    )


def _is_there(asking: Asking, bucket: str, key: str) -> bool:
    s3 = asking.client("s3")
    return (
        asking.ask(f"bucket {bucket}", lambda: s3.head_object(Bucket=bucket, Key=key)) is not None
    )


def pictures(asking: Asking, scene: Scene, outputs: Iterable[str]) -> tuple[Picture, ...]:
    """Compare a few uploads with what was made of them: keys in the buckets `outputs` with the same name."""
    pairs = list(_pairs(asking, scene, outputs))[:MAX_PAIRS]
    compared = together(*(partial(_compared, asking, *pair) for pair in pairs))
    return tuple(one for one in compared if one is not None)


def _pairs(
    asking: Asking, scene: Scene, outputs: Iterable[str]
) -> Iterator[tuple[str, str, str, str]]:
    made = {name: _stems(_keys(asking, scene, name)) for name in outputs}
    for bucket in scene.buckets.values():
        heard = [key for key in bucket.keys if bucket.rules and _ENDING.search(key)]
        for key in heard:
            for name, stems in made.items():
                for output in stems.get(_stem(key), ())[:1]:
                    if (name, output) != (bucket.name, key):
                        yield bucket.name, key, name, output


def _keys(asking: Asking, scene: Scene, bucket: str) -> tuple[str, ...]:
    seen: Bucket | None = scene.buckets.get(bucket)
    if seen is not None and not seen.rules:
        return seen.keys
    s3 = asking.client("s3")
    answer = asking.ask(f"bucket {bucket}", lambda: s3.list_objects_v2(Bucket=bucket))
    return tuple(one["Key"] for one in (answer or {}).get("Contents", ()))


def _stems(keys: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key in keys:
        if _ENDING.search(key):
            found.setdefault(_stem(key), []).append(key)
    return found


def _stem(key: str) -> str:
    return _ENDING.sub("", key.rpartition("/")[2]).lower()


def _compared(
    asking: Asking, bucket: str, key: str, output_bucket: str, output: str
) -> Picture | None:
    upload, made = _opened(asking, bucket, key), _opened(asking, output_bucket, output)
    if upload is None or made is None:
        return None
    square = upload.width == upload.height or made.width == made.height
    return Picture(
        upload=key,
        output=output,
        turned=not square and upload.getexif().get(ORIENTATION) in ON_ITS_SIDE,
        wide_as_stored=upload.width > upload.height,
        output_wide=made.width > made.height,
        output_mode=made.mode,
        black=_is_black_where_clear(upload, made),
    )


def _opened(asking: Asking, bucket: str, key: str) -> Image | None:
    from PIL import Image, UnidentifiedImageError

    s3 = asking.client("s3")
    answer = asking.ask(f"bucket {bucket}", lambda: s3.get_object(Bucket=bucket, Key=key))
    if answer is None or answer["ContentLength"] > MAX_BYTES:
        return None
    try:
        opened = Image.open(io.BytesIO(answer["Body"].read()))
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
        return None
    return opened if opened.width * opened.height <= MAX_PIXELS else None


def _is_black_where_clear(upload: Image, made: Image) -> bool:
    """Whether most of what is clear in the upload is black in an output that knows no transparency."""
    if "A" not in upload.getbands() and "transparency" not in upload.info:
        return False
    if "A" in made.getbands():
        return False
    size = (32, 32)
    clear = upload.convert("RGBA").resize(size).getchannel("A").tobytes()
    light = made.convert("L").resize(size).tobytes()
    under = [value for alpha, value in zip(clear, light, strict=True) if alpha < CLEAR]
    return len(under) > len(clear) // 20 and sum(value < DARK for value in under) > 0.9 * len(under)
