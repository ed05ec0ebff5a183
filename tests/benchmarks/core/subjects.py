"""The photographs, and the files that are made from them for the rows that need another format or size.

What is made is kept in `.venv/bench-files`, which is never committed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PIL import Image

from imgpipe.runtime.image.opening import open_image
from imgpipe.runtime.settings import Limits
from tests.photos import CORPUS, DEMO, ROOT, photographs

KEPT = ROOT / ".venv" / "bench-files"
HUNDRED_MEGAPIXELS = (11_600, 8_700)
QUICK = ("p06_d40_o6", "p08_iphone5_o3", "p10_1000d_o6", "p12_d90", "p22_icc")


def jpegs(*, quick: bool) -> list[Path]:
    """Return the JPEG photographs of the corpus, or the demonstration's where it isn't there."""
    everything = photographs()
    return (
        [each for each in everything if each.stem in QUICK] or everything[:4]
        if quick
        else everything
    )


def large_jpeg() -> Path:
    """Return one photograph of about 12 MP."""
    return next((each for each in photographs() if each.stem == "p12_d90"), DEMO / "sunset.jpg")


def megapixels(path: Path) -> float:
    """Return how many millions of pixels the picture has, by its own header."""
    width, height = open_image(path.read_bytes(), Limits()).size
    return round(width * height / 1e6, 2)


def pngs(*, quick: bool) -> list[Path]:
    """Return a PNG of 12 MP made from a photograph, one of 5 MP and, of the corpus, one that was found as a PNG."""
    small = _made("photo-5mp.png", _scaled_png)
    found = sorted((CORPUS / "photos").glob("*.png"))
    return [small, *found] if quick else [_made("photo-12mp.png", _png), small, *found]


def other_formats(*, quick: bool) -> dict[str, list[Path]]:
    """Return files by the name of their format; HEIC only where the corpus has one."""
    made = {
        "progressive JPEG": [_made("progressive-12mp.jpg", _progressive)],
        "BMP": [_made("photo-12mp.bmp", _bmp)],
        "GIF": [_made("photo-2mp.gif", _gif)],
    }
    if quick:
        return made
    return made | {
        "TIFF, LZW": [_made("photo-12mp.tif", _tiff)],
        "WebP": _corpus("photos", "*.webp") or [_made("photo-5mp.webp", _webp)],
        "AVIF": _corpus("photos", "*.avif") or [_made("photo-5mp.avif", _avif)],
        "HEIC": _corpus("photos", "*.heic"),
    }


def hundred_megapixels(*, progressive: bool) -> Path:
    """Return a JPEG of 101 MP, tiled from a photograph."""
    name = "progressive-100mp.jpg" if progressive else "photo-100mp.jpg"
    return _made(name, lambda to: _tiled(to, progressive=progressive))


def _corpus(folder: str, pattern: str) -> list[Path]:
    return sorted((CORPUS / folder).glob(pattern))


def _made(name: str, make: Callable[[Path], None]) -> Path:
    path = KEPT / name
    if not path.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        partial = KEPT / f"partial-{name}"
        make(partial)
        partial.replace(path)
    return path


def _photo() -> Image.Image:
    return Image.open(large_jpeg()).convert("RGB")


def _smaller(width: int) -> Image.Image:
    whole = _photo()
    size = (width, round(width * whole.height / whole.width))
    return whole.resize(size, Image.Resampling.LANCZOS)


def _png(to: Path) -> None:
    _photo().save(to, "PNG")


def _scaled_png(to: Path) -> None:
    _smaller(2700).save(to, "PNG")


def _progressive(to: Path) -> None:
    _photo().save(to, "JPEG", quality=90, progressive=True)


def _bmp(to: Path) -> None:
    _photo().save(to, "BMP")


def _gif(to: Path) -> None:
    _smaller(1900).quantize(256).save(to, "GIF")


def _tiff(to: Path) -> None:
    _photo().save(to, "TIFF", compression="tiff_lzw")


def _webp(to: Path) -> None:
    _smaller(2700).save(to, "WEBP", quality=85)


def _avif(to: Path) -> None:
    _smaller(2700).save(to, "AVIF", quality=70)


def _tiled(to: Path, *, progressive: bool) -> None:
    tile = _photo()
    whole = Image.new("RGB", HUNDRED_MEGAPIXELS)
    for top in range(0, whole.height, tile.height):
        for left in range(0, whole.width, tile.width):
            whole.paste(tile, (left, top))
    whole.save(to, "JPEG", quality=88, progressive=progressive)
