"""libvips gives a PNG the very pixels that Pillow gives it; what it can't is left to others."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageCms

from imgpipe.runtime import image
from imgpipe.runtime.errors import Rejected
from imgpipe.runtime.image import opening, unfiltering
from imgpipe.runtime.image.opening import Opened, open_image
from imgpipe.runtime.settings import Limits
from tests.photos import CORPUS
from tests.pictures import corners, encoded, exif
from tests.png_files import random_png

pytestmark = pytest.mark.skipif(not unfiltering.AVAILABLE, reason="no libvips here")

LIMITS = Limits()
PNGS = sorted(CORPUS.rglob("*.png"))
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture(autouse=True)
def _of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "WORTH_VIPS_PIXELS", 1)


@pytest.fixture
def did(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """What libvips said of each picture that it was given: whether it decoded it."""
    said: list[bool] = []
    load = unfiltering.load

    def noted(im: Any) -> bool:
        said.append(False)
        said[-1] = load(im)
        return said[-1]

    monkeypatch.setattr(unfiltering, "load", noted)
    return said


def by_pillow(data: bytes) -> Opened:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(opening, "_quick", lambda _: iter(()))
        return open_image(data, LIMITS)


def end(read: Callable[[bytes], Opened], data: bytes) -> tuple[Any, ...]:
    """Return all that is known of a picture, or why it was refused."""
    try:
        opened = read(data)
    except Rejected as refusal:
        return refusal.reason, refusal.message
    im: Any = opened.im
    told = (opened.stored, opened.orientation, opened.frames, opened.mode)
    return (*told, im.mode, im.getpalette(), im.info, im.text, im.tobytes())


def by_vips(data: bytes) -> Opened:
    return open_image(data, LIMITS)


def noise(mode: str, size: tuple[int, int] = (301, 203)) -> Image.Image:
    """Return a picture for which the encoder takes filters of all kinds."""
    waves = Image.linear_gradient("L").resize(size).rotate(30)
    bands = [
        Image.blend(waves, Image.effect_noise(size, spread), 0.4) for spread in (5, 20, 50, 90)
    ]
    return Image.merge("RGBA", bands).convert(mode)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_eight_bits(did: list[bool], mode: str) -> None:
    data = encoded(noise(mode), "PNG")
    assert end(by_vips, data) == end(by_pillow, data)
    assert did == [True]


@pytest.mark.parametrize("colour", [0, 2, 6])
def test_sixteen_bits(did: list[bool], colour: int) -> None:
    data = random_png((301, 203), 16, colour)
    assert end(by_vips, data) == end(by_pillow, data)
    assert did == [True]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(lambda: encoded(noise("RGB").quantize(60), "PNG"), id="palette"),
        pytest.param(lambda: encoded(noise("1"), "PNG"), id="one bit"),
        pytest.param(lambda: encoded(noise("RGB"), "PNG", transparency=(9, 9, 9)), id="clear"),
        pytest.param(lambda: random_png((301, 203), 16, 4), id="grey of 16 bits with alpha"),
        pytest.param(lambda: random_png((301, 203), 8, 2, interlaced=True), id="interlaced"),
    ],
)
def test_what_libvips_would_change_is_left_to_others(
    did: list[bool], data: Callable[[], bytes]
) -> None:
    made = data()
    assert end(by_vips, made) == end(by_pillow, made)
    assert did == [False]


def test_a_small_one_is_not_worth_loading_it(
    did: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "WORTH_VIPS_PIXELS", 301 * 203 + 1)
    by_vips(encoded(noise("RGB"), "PNG"))
    assert did == []


def test_profile_and_metadata_are_kept_wherever_they_stand(did: list[bool]) -> None:
    data = encoded(noise("RGB"), "PNG", exif=exif(t274=6), icc_profile=SRGB, dpi=(300, 300))
    at = data.index(b"eXIf") - 4
    length = 12 + int.from_bytes(data[at : at + 4], "big")
    late = data[:at] + data[at + length : -12] + data[at : at + length] + data[-12:]
    for each in (data, late):
        assert end(by_vips, each) == end(by_pillow, each)
        assert by_vips(each).orientation == 6
        assert by_vips(each).im.info["icc_profile"] == SRGB
    assert all(did)


def test_a_row_longer_than_what_is_read_at_once(
    did: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfiltering, "AT_ONCE", 100)
    data = encoded(noise("RGB"), "PNG")
    assert end(by_vips, data) == end(by_pillow, data)
    assert did == [True]


def test_nothing_is_said_on_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    data = encoded(noise("RGB"), "PNG", icc_profile=b"no profile at all")
    assert end(by_vips, data) == end(by_pillow, data)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("kept", [0.02, 0.5, 0.9, 0.999])
def test_a_cut_file_ends_as_it_would_without(kept: float) -> None:
    data = encoded(noise("RGB"), "PNG")
    data = data[: int(len(data) * kept)]
    assert end(by_vips, data) == end(by_pillow, data)


def test_what_is_too_large_is_refused_unread(did: list[bool]) -> None:
    with pytest.raises(Rejected):
        image.make(encoded(corners(), "PNG"), {}, Limits(max_pixels=1000))
    assert did == []


@pytest.mark.skipif(not PNGS, reason="no corpus")
def test_every_file_of_the_corpus_has_the_same_end(did: list[bool]) -> None:
    unlike = [str(path) for path in PNGS if differs(path)]
    assert not unlike
    assert did.count(True) > len(PNGS) // 4


def differs(path: Path) -> bool:
    data = path.read_bytes()
    return end(by_vips, data) != end(by_pillow, data)
