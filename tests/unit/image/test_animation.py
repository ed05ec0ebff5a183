"""What moves goes on moving where the format can: its frames, how long each is shown, how often."""

from typing import Any

import pytest
from PIL import Image

from imgpipe.runtime import image
from imgpipe.runtime.errors import Reason, Rejected
from imgpipe.runtime.image import sequence
from imgpipe.runtime.settings import Limits
from tests.pictures import BLUE, RED, YELLOW, colours_of, corners, encoded, near, opened

MOVING = ["GIF", "WEBP", "PNG", "AVIF"]
DURATIONS = [100, 250, 400]
LOSSLESS: dict[str, dict[str, Any]] = {"WEBP": {"lossless": True}, "AVIF": {"quality": 95}}


def strip(mode: str = "RGB", size: tuple[int, int] = (80, 60)) -> list[Image.Image]:
    colours = [RED, BLUE, YELLOW]
    frames = [Image.new(mode, size, (*colour, 255)[: len(mode)]) for colour in colours]
    for at, frame in enumerate(frames):  # a mark, so that two frames are never the same
        frame.paste((255,) * len(mode), (10 * at, 0, 10 * at + 10, 10))
    return frames


def animated(kind: str, frames: list[Image.Image], **more: Any) -> bytes:
    options = {"duration": DURATIONS, "loop": 0, **LOSSLESS.get(kind, {}), **more}
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)


def make(data: bytes, limits: Limits = Limits(), **settings: Any) -> Image.Image:  # noqa: B008 - frozen
    wanted = {"step": {"variants": {"v": {"width": 40, **settings}}}}
    return opened(image.make(data, wanted, limits)["step"].variants["v"].data)


@pytest.mark.parametrize("source", MOVING)
@pytest.mark.parametrize("kind", ["gif", "webp", "png", "avif"])
def test_frames_durations_and_endless_loops_are_kept(source: str, kind: str) -> None:
    made = make(animated(source, strip()), format=kind)
    assert made.format == kind.upper()
    assert made.size == (40, 30)
    assert made.n_frames == 3
    shown, seen = [], []
    for number in range(3):
        made.seek(number)
        made.load()
        shown.append(round(made.info["duration"]))
        seen.append(colours_of(made)[3])
    assert shown == DURATIONS
    assert all(near(a, b, 40) for a, b in zip(seen, [RED, BLUE, YELLOW], strict=True))
    assert made.info.get("loop", 0) == 0


@pytest.mark.parametrize(
    ("source", "said", "kind", "found"),
    [
        ("GIF", None, "gif", None),
        ("GIF", None, "webp", 1),
        ("GIF", 2, "webp", 3),
        ("GIF", 2, "gif", 2),
        ("PNG", 3, "gif", 2),
        ("WEBP", 1, "gif", None),
        ("WEBP", 4, "png", 4),
    ],
)
def test_a_number_of_plays_is_kept(
    source: str, said: int | None, kind: str, found: int | None
) -> None:
    frames = strip()
    more = {} if said is None else {"loop": said}
    data = encoded(frames[0], source, save_all=True, append_images=frames[1:], duration=90, **more)
    assert make(data, format=kind).info.get("loop") == found


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("times", [0, 1, 2, 5])
def test_an_avif_is_played_as_often_as_its_original(times: int, mode: str) -> None:
    frames = strip(mode)
    frames[0].paste(0, (60, 0, 80, 60))
    wanted = {"step": {"variants": {"v": {"width": 40, "format": "avif"}}}}
    data = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], loop=times)
    once = image.make(data, wanted, Limits())["step"].variants["v"].data
    assert sequence.plays(once) == times
    again = image.make(once, wanted, Limits())["step"].variants["v"].data
    assert sequence.plays(again) == times
    assert opened(again).n_frames == 3
    assert make(once, format="webp").info["loop"] == times


def test_an_avif_that_does_not_say_is_played_for_ever() -> None:
    assert sequence.plays(encoded(corners(), "AVIF")) == 0
    whole = animated("AVIF", strip())
    assert all(sequence.plays(whole[:length]) == 0 for length in range(0, len(whole), 50))


@pytest.mark.parametrize("kind", ["jpeg", "gif", "webp"])
def test_the_first_frame_stands_where_nothing_may_move(kind: str) -> None:
    made = make(animated("GIF", strip()), format=kind, animated=False)
    assert getattr(made, "n_frames", 1) == 1
    assert near(colours_of(made)[3], RED, 20)


def test_a_document_with_pages_is_no_animation() -> None:
    assert make(animated("TIFF", strip()), format="gif").n_frames == 1


def test_geometry_and_filters_are_for_each_frame() -> None:
    settings: dict[str, Any] = {
        "filters": [{"greyscale": True}, {"border": 2}],
        "variants": {"v": {"width": 30, "height": 30, "fit": "cover", "format": "webp"}},
    }
    made = opened(
        image.make(animated("GIF", strip()), {"s": settings}, Limits())["s"].variants["v"].data
    )
    assert made.size == (30, 30)
    for number in range(made.n_frames):
        made.seek(number)
        red, green, blue = colours_of(made)[3]
        assert max(red, green, blue) - min(red, green, blue) <= 6
        assert near(tuple(made.convert("RGB").getpixel((0, 15))), (255, 255, 255), 12)


@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
def test_what_was_shown_before_does_not_show_through(kind: str) -> None:
    frames = [Image.new("RGBA", (80, 60), (0, 0, 0, 0)) for _ in range(2)]
    frames[0].paste((*RED, 255), (0, 0, 40, 60))
    frames[1].paste((*BLUE, 255), (40, 0, 80, 60))
    made = make(animated("PNG", frames, duration=100), format=kind)
    made.seek(1)
    seen = made.convert("RGBA")
    assert seen.getpixel((10, 15))[3] == 0  # type: ignore[index]
    assert near(tuple(seen.getpixel((30, 15)))[:3], BLUE, 30)  # type: ignore[arg-type]


def test_a_still_that_is_not_part_of_the_animation_is_left_out() -> None:
    still, *frames = strip()
    data = encoded(
        still, "PNG", save_all=True, append_images=frames, default_image=True, duration=50
    )
    made = make(data, format="webp")
    assert made.n_frames == 2
    assert near(colours_of(made)[3], BLUE, 30)


def test_an_animation_that_does_not_fit_into_memory_is_refused() -> None:
    data = animated("GIF", strip(size=(100, 100)))
    with pytest.raises(Rejected) as caught:
        make(data, Limits(max_decoded_bytes=100_000), format="webp", width=100)
    assert caught.value.reason is Reason.MEMORY_LIMIT
    assert make(data, Limits(max_decoded_bytes=100_000), format="webp", animated=False)


def test_the_same_animation_makes_the_same_bytes() -> None:
    data = animated("GIF", [each.resize((60, 40)) for each in (corners(), *strip())], duration=80)
    for kind in ("gif", "webp", "png", "avif"):
        wanted = {"s": {"variants": {"v": {"width": 40, "format": kind}}}}
        one, other = (image.make(data, wanted, Limits())["s"].variants["v"] for _ in range(2))
        assert one.data == other.data


def test_a_gif_keeps_its_time_though_it_counts_in_hundredths() -> None:
    frames = [corners(40, 30).rotate(angle) for angle in range(0, 100, 5)]
    data = animated("WEBP", frames, duration=75)
    made = make(data, format="gif")
    total = 0
    for number in range(made.n_frames):
        made.seek(number)
        total += round(made.info["duration"])
    assert total == 20 * 75


@pytest.mark.parametrize(
    ("kind", "longest"),
    [("gif", [65_540, 65_530, 70]), *((k, [65_535, 65_535, 70]) for k in ("webp", "png", "avif"))],
)
def test_a_frame_that_is_shown_for_minutes_is_shown_as_long_as_every_format_can_say(
    kind: str, longest: list[int]
) -> None:
    made = make(animated("WEBP", strip(), duration=[100_123, 16_000_000, 70]), format=kind)
    shown = []
    for number in range(3):
        made.seek(number)
        made.load()
        shown.append(round(made.info["duration"]))
    assert shown == longest


def test_a_gif_whose_frames_are_alike_for_longer_than_it_can_say_is_made() -> None:
    frames = [corners(400, 300) for _ in range(20)]
    for at, frame in enumerate(frames):  # what is too small to be seen in the end
        red, green, blue = frame.getpixel((at, 0))
        frame.putpixel((at, 0), (red ^ 1, green, blue))
    made = make(animated("WEBP", frames, duration=60_000), format="gif")
    assert made.n_frames < 20
    total = 0
    for number in range(made.n_frames):
        made.seek(number)
        total += round(made.info["duration"])
    assert 600_000 < total <= 655_350


def test_the_same_frames_make_the_same_avif_at_any_time() -> None:
    data = animated("PNG", strip())
    wanted = {"step": {"variants": {"v": {"width": 40, "format": "avif"}}}}
    made = image.make(data, wanted, Limits())["step"].variants["v"].data
    for name, times in ((b"mvhd", 1), (b"tkhd", 1), (b"mdhd", 1)):
        assert made.count(name) == times
        at = made.index(name) + 4
        assert not any(made[at + 4 : at + (20 if made[at] else 12)])


def test_grey_frames_stay_grey() -> None:
    frames = [each.convert("L") for each in strip()]
    made = make(animated("PNG", frames), format="png")
    made.seek(0)
    assert made.mode == "L"
