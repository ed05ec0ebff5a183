"""What comes out of the image core for pictures of every kind."""

from contextlib import suppress
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageCms

from imgpipe.runtime import image
from imgpipe.runtime.errors import Reason, Rejected
from imgpipe.runtime.image import counting, resampling
from imgpipe.runtime.image.structure import wavelet_levels
from imgpipe.runtime.made import Made, Picture
from imgpipe.runtime.settings import Limits
from tests.photos import CORPUS
from tests.pictures import (
    BLUE,
    RED,
    colours_of,
    corners,
    encoded,
    exif,
    is_upright,
    near,
    opened,
    turned,
)

LIMITS = Limits()


def make(data: bytes, limits: Limits = LIMITS, **variants: dict[str, Any]) -> dict[str, Picture]:
    made = image.make(data, {"sizes": {"variants": variants}}, limits)
    return dict(made["sizes"].variants)


def one(data: bytes, limits: Limits = LIMITS, **settings: Any) -> Image.Image:
    return opened(make(data, limits, v={"width": 100, **settings})["v"].data)


def step(data: bytes, **settings: Any) -> Made:
    return image.make(data, {"step": settings}, LIMITS)["step"]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_every_orientation_comes_out_upright(orientation: int, kind: str) -> None:
    stored = turned(corners(), orientation)
    data = encoded(stored, kind, exif=exif(t274=orientation))
    made = make(data, small={"width": 100}, square={"width": 60, "height": 60, "fit": "cover"})
    small, square = opened(made["small"].data), opened(made["square"].data)
    assert small.size == (100, 75)
    assert square.size == (60, 60)
    assert is_upright(small)
    assert is_upright(square)
    assert (made["small"].width, made["small"].height) == small.size


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
def test_each_format_is_what_it_says(kind: str) -> None:
    made = make(encoded(corners()), v={"width": 100, "format": kind})["v"]
    assert opened(made.data).format == kind.upper()
    assert made.content_type == f"image/{kind}"
    assert made.extension == {"jpeg": "jpg"}.get(kind, kind)


def test_nothing_is_enlarged() -> None:
    assert one(encoded(corners(40, 30))).size == (40, 30)


def test_contain_fills_the_canvas_with_the_background() -> None:
    made = one(encoded(corners(), "PNG"), height=100, fit="contain", background="#0000ff")
    assert made.size == (100, 100)
    assert near(_pixel(made, (50, 3)), (0, 0, 255))
    assert near(_pixel(made, (25, 40)), RED)


def test_a_scaled_decode_shows_the_same_picture() -> None:
    data = encoded(corners(4000, 3000), quality=95)
    made = make(data, large={"width": 500}, thumb={"width": 40, "height": 40, "fit": "cover"})
    assert is_upright(opened(made["large"].data))
    assert is_upright(opened(made["thumb"].data), 20)


@pytest.mark.parametrize("levels", [1, 3, 6])
def test_a_jpeg_2000_is_decoded_at_a_half_that_it_holds(levels: int) -> None:
    data = encoded(corners(1200, 900), "JPEG2000", num_resolutions=levels)
    assert wavelet_levels(data) == levels - 1
    for width in (50, 299, 601, 1200):
        made = one(data, width=width)
        assert made.size == (width, round(width * 3 / 4))
        assert is_upright(made)


@pytest.mark.parametrize("value", [0, 100, 128, 255])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_not_clipped(kind: str, value: int) -> None:
    deep = Image.new("I;16", (200, 100))
    deep.paste(value * 257, (0, 0, 200, 100))
    made = one(encoded(deep, kind), format="png")
    assert abs(int(_pixel(made.convert("L"), (50, 25))[0]) - value) <= 1


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ((0.0, 1.0), (0, 255)),
        ((0.0, 255.0), (0, 255)),
        ((-4.0, 4.0), (0, 255)),
        ((7.0, 7.0), (7, 7)),
    ],
)
def test_floats_are_stretched_to_what_they_use(
    values: tuple[float, float], shown: tuple[int, int]
) -> None:
    deep = Image.new("F", (100, 50), values[0])
    deep.paste(values[1], (50, 0, 100, 50))
    made = one(encoded(deep, "TIFF"), format="png").convert("L")
    assert (_pixel(made, (10, 10))[0], _pixel(made, (90, 10))[0]) == shown


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_transparency_shows_the_background_in_a_jpeg(kind: str) -> None:
    clear = Image.new("RGBA", (200, 100), (0, 0, 0, 0))
    clear.paste((*BLUE, 255), (0, 0, 100, 100))
    data = encoded(clear, kind, **({"lossless": True} if kind == "WEBP" else {}))
    made = one(data, background="#ff0000")
    assert near(_pixel(made, (20, 20)), BLUE)
    assert near(_pixel(made, (80, 20)), (255, 0, 0))


@pytest.mark.parametrize("kind", ["png", "webp"])
def test_transparency_stays_where_the_format_has_it(kind: str) -> None:
    clear = Image.new("RGBA", (200, 100), (200, 100, 50, 99))
    made = one(encoded(clear, "PNG"), format=kind)
    assert made.mode == "RGBA"
    assert made.getextrema()[3] == (99, 99)


def test_an_opaque_alpha_channel_is_dropped() -> None:
    assert one(encoded(corners().convert("RGBA"), "PNG"), format="png").mode == "RGB"


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("1", "PNG"),
        ("L", "PNG"),
        ("LA", "PNG"),
        ("P", "PNG"),
        ("P", "GIF"),
        ("RGBA", "PNG"),
        ("L", "JPEG"),
        ("CMYK", "JPEG"),
        ("CMYK", "TIFF"),
        ("LAB", "TIFF"),
        ("I", "TIFF"),
        ("RGB", "BMP"),
        ("RGB", "AVIF"),
        ("RGB", "ICO"),
        ("RGB", "PPM"),
        ("L", "PPM"),
        ("RGB", "JPEG2000"),
        ("RGB", "MPO"),
    ],
)
def test_every_mode_becomes_a_picture_that_browsers_show(mode: str, kind: str) -> None:
    source = corners() if mode != "LAB" else _lab(corners())
    made = one(encoded(source.convert(mode) if mode != "LAB" else source, kind))
    assert made.format == "JPEG"
    assert made.mode in ("RGB", "L")
    assert made.size == (100, 75)
    if mode in ("P", "RGBA", "CMYK", "LAB", "RGB"):
        assert is_upright(made, 45 if mode == "CMYK" else 16)


def _lab(im: Image.Image) -> Image.Image:
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    made = ImageCms.profileToProfile(im, srgb, lab, outputMode="LAB")
    assert made is not None
    return made


def swapping_profile() -> bytes:
    """Return a profile whose red is blue:

    sRGB's with two primaries exchanged, under another name.
    """
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = made.replace(b"rXYZ", b"....").replace(b"bXYZ", b"rXYZ").replace(b"....", b"bXYZ")
    return swapped.replace("sRGB".encode("utf-16-be"), "SWAP".encode("utf-16-be"))


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_profile_is_applied(mode: str) -> None:
    flat = Image.new(mode, (100, 50), (255, 0, 0, 128)[: len(mode)])
    made = one(encoded(flat, "PNG", icc_profile=swapping_profile()), format="png")
    assert near(_pixel(made, (50, 25))[:3], (0, 0, 255), 3)


def test_a_profile_is_not_passed_on_and_a_broken_one_is_ignored() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for bytes_ in (profile, profile[:40], b"not a profile"):
        made = one(encoded(corners(), "PNG", icc_profile=bytes_))
        assert "icc_profile" not in made.info
        assert is_upright(made)


def test_metadata_never_reaches_a_variant() -> None:
    secret = exif(t270="CANARY", t315="CANARY")
    jpeg = encoded(corners(), exif=secret, comment=b"CANARY")
    png = encoded(corners(40, 30), "PNG", exif=secret)
    for data in (jpeg, png):
        for kind in ("jpeg", "png", "webp"):
            for width in (20, 4000):
                made = make(data, v={"width": width, "format": kind})["v"]
                assert b"CANARY" not in made.data
                assert not opened(made.data).getexif()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.EMPTY_FILE),
        (b"text named .jpg", Reason.UNSUPPORTED_FORMAT),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", Reason.UNSUPPORTED_FORMAT),
        (b"\xff\xd8\xff", Reason.CORRUPT_IMAGE),
        (b"GIF89a", Reason.CORRUPT_IMAGE),
        (encoded(corners())[:-2000], Reason.TRUNCATED_IMAGE),
        (encoded(corners(), "PNG")[:-300], Reason.TRUNCATED_IMAGE),
    ],
)
def test_what_is_no_image_is_rejected_with_a_reason(data: bytes, reason: Reason) -> None:
    with pytest.raises(Rejected) as caught:
        one(data)
    assert caught.value.reason is reason
    assert caught.value.message


@pytest.mark.parametrize(
    "kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF", "ICO", "PPM", "JPEG2000"]
)
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_file_that_was_cut_short_is_told_as_such(kind: str, share: float) -> None:
    whole = encoded(corners(), kind)
    with pytest.raises(Rejected) as caught:
        one(whole[: int(len(whole) * share)])
    assert caught.value.reason is Reason.TRUNCATED_IMAGE


def test_a_header_that_lies_about_the_size_is_refused_for_it() -> None:
    whole = bytearray(encoded(corners(), "PNG"))
    whole[16:24] = b"\x7f\xff\xff\xff" * 2
    with pytest.raises(Rejected) as caught:
        one(bytes(whole))
    assert caught.value.reason is Reason.TOO_MANY_PIXELS


@pytest.mark.parametrize(
    "kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF", "ICO", "PPM", "JPEG2000"]
)
def test_a_picture_over_the_limit_is_refused_on_its_header(kind: str) -> None:
    with pytest.raises(Rejected) as caught:
        one(encoded(corners(), kind), Limits(max_pixels=40_000))
    assert caught.value.reason is Reason.TOO_MANY_PIXELS


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "TIFF", "AVIF"])
def test_an_animation_counts_its_frames_up_to_the_limit(kind: str) -> None:
    frames = [corners(40, 30).rotate(turn) for turn in range(0, 60, 10)]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    assert step(data).facts["frames"] == 6
    with pytest.raises(Rejected) as caught:
        one(data, Limits(max_frames=5))
    assert caught.value.reason is Reason.TOO_MANY_FRAMES


def test_what_needs_more_memory_than_there_is_is_refused_before_decoding() -> None:
    with pytest.raises(Rejected) as caught:
        one(encoded(corners(), "PNG"), Limits(max_decoded_bytes=100_000))
    assert caught.value.reason is Reason.MEMORY_LIMIT


def test_thousands_of_scans_are_refused_before_decoding() -> None:
    """A progressive JPEG whose last scan is repeated: each one costs a pass over all pixels."""
    data = encoded(corners(2000, 2000), progressive=True)
    scan = data.rindex(b"\xff\xda")
    bomb = data[:-2] + data[scan:-2] * 2000 + data[-2:]
    with pytest.raises(Rejected) as caught:
        one(bomb)
    assert caught.value.reason is Reason.TIME_LIMIT


def test_scans_are_counted_only_where_there_can_be_more_than_one() -> None:
    usual = encoded(corners(), quality=95)
    assert counting.scans(usual) == 1
    assert counting.scans(usual[:2] + b"\xff\xe1\0\x06\xff\xda\0\0" + usual[2:]) == 1  # in metadata
    assert counting.scans(encoded(corners(), progressive=True)) > 5
    assert counting.scans(usual[: usual.index(b"\xff\xda")]) == 0


def test_a_smooth_picture_gets_tables_of_its_own() -> None:
    """Standard ones waste its bits; Pillow's own optimised file is the measure."""
    smooth = Image.linear_gradient("L").resize((1600, 1200)).convert("RGB")
    data = encoded(smooth, quality=95)
    made = make(data, v={"width": 1600})["v"]
    again = opened(made.data)
    assert len(made.data) <= len(encoded(again, quality=80, optimize=True)) * 1.02


def test_a_good_png_survives_a_bomb_in_its_texts() -> None:
    from PIL import PngImagePlugin

    texts = PngImagePlugin.PngInfo()
    texts.add_text("comment", "0" * 20_000_000, zip=True)
    assert is_upright(one(encoded(corners(), "PNG", pnginfo=texts)))


@pytest.mark.capability("S0-5")
def test_filters_change_their_own_step_only() -> None:
    wanted: dict[str, dict[str, Any]] = {
        "plain": {"variants": {"a": {"width": 100}}},
        "grey": {"filters": [{"greyscale": None}], "variants": {"b": {"width": 100}}},
    }
    made = image.make(encoded(corners()), wanted, LIMITS)
    assert is_upright(opened(made["plain"].variants["a"].data))
    red, green, blue = colours_of(opened(made["grey"].variants["b"].data))[0]
    assert max(red, green, blue) - min(red, green, blue) <= 4


def test_a_filter_leaves_transparency_alone() -> None:
    clear = Image.new("RGBA", (100, 100), (200, 100, 50, 77))
    settings: dict[str, Any] = {
        "filters": [{"brightness": 1.2}],
        "variants": {"v": {"width": 50, "format": "png"}},
    }
    made = opened(step(encoded(clear, "PNG"), **settings).variants["v"].data)
    assert made.getchannel("A").getextrema() == (77, 77)


def test_without_the_fast_resampler_the_pictures_are_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = encoded(corners(), "PNG")
    fast = one(data, format="png")
    monkeypatch.setattr(resampling, "_resizer", None)
    slow = one(data, format="png")
    assert slow.size == fast.size
    assert all(near(a, b, 2) for a, b in zip(colours_of(fast), colours_of(slow), strict=True))


def _pixel(im: Image.Image, at: tuple[int, int]) -> tuple[int, ...]:
    found = im.getpixel(at)
    assert found is not None
    return found if isinstance(found, tuple) else (int(found),)


def test_steps_that_want_one_size_share_its_pixels_and_none_draws_on_anothers() -> None:
    data = encoded(corners(), quality=95)
    steps: dict[str, dict[str, Any]] = {
        "plain": {"variants": {"a": {"width": 100}}},
        "marked": {
            "filters": [{"border": {"width": 9}}, {"tint": "#000000"}],
            "variants": {"b": {"width": 100}},
        },
        "again": {"filters": [{"gamma": 1}], "variants": {"c": {"width": 100}}},
    }
    made = image.make(data, steps, LIMITS)
    assert is_upright(opened(made["plain"].variants["a"].data))
    assert is_upright(opened(made["again"].variants["c"].data))
    assert made["plain"].variants["a"].data == make(data, a={"width": 100})["a"].data


def test_grey_with_alpha_stays_grey_on_a_grey_background() -> None:
    source = corners().convert("LA")
    source.putalpha(128)
    data = encoded(source, "PNG")
    assert opened(_one(data, background="#ffffff")).mode == "L"
    assert opened(_one(data, background="#ff0000")).mode == "RGB"


def test_a_background_fills_the_canvas_around_alpha_too() -> None:
    source = corners().convert("RGBA")
    source.putalpha(128)
    box: dict[str, Any] = {"height": 200, "fit": "contain", "format": "png"}
    blue = opened(_one(encoded(source, "PNG"), background="#0000ff", **box)).convert("RGBA")
    assert blue.getpixel((0, 0)) == (0, 0, 255, 255)
    assert blue.getpixel((100, 100))[3] == 128  # type: ignore[index]
    assert opened(_one(encoded(source, "PNG"), **box)).convert("RGBA").getpixel((0, 0))[3] == 0  # type: ignore[index]


@pytest.mark.parametrize("kind", ["png", "webp", "avif", "gif"])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_a_clear_background_leaves_what_is_beside_the_picture_transparent(
    kind: str, mode: str
) -> None:
    data = encoded(corners().convert(mode), "PNG")
    box: dict[str, Any] = {"height": 200, "fit": "contain", "format": kind}
    made = opened(_one(data, background="clear", **box)).convert("RGBA")
    assert made.size == (200, 200)
    assert made.getchannel("A").getbbox() == (0, 25, 200, 175)
    plain = corners().convert(mode).convert("RGB").resize((200, 150))
    for x, y in ((20, 45), (180, 45), (20, 155), (180, 155)):
        shown, alpha = made.getpixel((x, y))[:3], made.getpixel((x, y))[3]  # type: ignore[index]
        assert alpha == 255
        assert near(shown, plain.getpixel((x, y - 25)), 24)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["webp", "avif"])
def test_no_dark_seam_shows_along_a_bright_edge_beside_a_clear_background(kind: str) -> None:
    data = encoded(Image.new("RGB", (300, 203), (250, 240, 230)), "PNG")
    box: dict[str, Any] = {"width": 101, "height": 101, "fit": "contain", "format": kind}
    made = opened(_one(data, background="clear", **box)).convert("RGBA")
    seen = [made.getpixel((50, y)) for y in range(101)]
    shown = [pixel[:3] for pixel in seen if pixel[3] > 200]  # type: ignore[index]
    assert len(shown) in (68, 69)
    assert all(near(pixel, (250, 240, 230), 4) for pixel in shown)


def test_a_clear_background_is_white_where_a_format_has_none() -> None:
    made = opened(_one(encoded(corners()), height=200, fit="contain", background="clear"))
    assert made.getpixel((100, 3)) == (255, 255, 255)


def test_a_grey_picture_that_keeps_its_profile_keeps_it_beside_a_clear_background() -> None:
    grey = bytes(16) + b"GRAY" + bytes(16) + b"acsp" + bytes(92)  # a header is all that is read
    data = encoded(corners().convert("L"), "PNG", icc_profile=grey)
    box: dict[str, Any] = {"height": 200, "fit": "contain", "format": "png", "profile": "keep"}
    made = opened(_one(data, background="clear", **box))
    assert made.mode == "LA"
    assert made.info["icc_profile"] == grey


def _one(data: bytes, **settings: Any) -> bytes:
    wanted = {"s": {"variants": {"v": {"width": 200, **settings}}}}
    return image.make(data, wanted, Limits())["s"].variants["v"].data


def test_a_cameras_own_preview_is_no_page() -> None:
    photo = CORPUS / "photos" / "p10_lx7_mpo.jpg"
    if not photo.is_file():
        pytest.skip("no photographs here")
    made = image.make(photo.read_bytes(), {"s": {"tags": "basic"}}, Limits())["s"]
    assert "frames" not in made.facts
    assert "multi-page" not in [tag["name"] for tag in made.facts["tags"]]
    eyes = CORPUS / "valid" / "jpeg" / "frozenpond.mpo"
    assert (
        image.make(eyes.read_bytes(), {"s": {"tags": "basic"}}, Limits())["s"].facts["frames"] == 2
    )


def test_what_only_looks_at_the_picture_takes_a_copy_that_was_made() -> None:
    base = corners(400, 300)
    with resampling.sharing():
        half = resampling.resize(base, (200, 150))
        small = resampling.resize(half, (60, 45))
        resampling.resize(base, (20, 15), (0, 0, 100, 75))  # a part
        resampling.resize(base, (20, 40))  # stretched
        assert resampling.smaller(base, 60) is small
        assert resampling.smaller(base, 61) is half
        assert resampling.smaller(base, 201) is base
    assert resampling.smaller(base, 60) is base


def test_the_largest_variant_is_resampled_once() -> None:
    noise = Image.effect_noise((2700, 1793), 20).convert("RGB")  # its height rounds up, to 1063
    wanted = {"s": {"variants": {"v": {"width": 1600, "height": 1600, "format": "png"}}}}
    data = image.make(encoded(noise, "PNG"), wanted, Limits())["s"].variants["v"].data
    made = opened(data).convert("RGB")
    best = noise.resize(made.size, Image.Resampling.LANCZOS)
    worst = max(high for _, high in ImageChops.difference(made, best).getextrema())  # type: ignore[misc]
    assert worst <= 3


@pytest.mark.parametrize("most", [100, 1_000_000])
def test_the_process_has_its_own_limit_of_pixels_again_afterwards(most: int) -> None:
    before = Image.MAX_IMAGE_PIXELS
    with suppress(Rejected):
        image.make(encoded(corners()), {"s": {"palette": 1}}, Limits(max_pixels=most))
    assert before == Image.MAX_IMAGE_PIXELS
