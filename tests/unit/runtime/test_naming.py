"""What is told of a file that isn't what its name says."""

import pytest

from imgpipe.runtime import naming
from imgpipe.runtime.image.formats import PLUGINS


@pytest.mark.parametrize(
    ("name", "kind", "note"),
    [
        ("incoming/a.png", "jpeg", "named .png, is jpeg"),
        ("incoming/a.b.JPG", "webp", "named .jpg, is webp"),
        ("a.jpg", "jpeg", None),
        ("a.JPEG", "jpeg", None),
        ("a.heic", "heif", None),
        ("a.dng", "tiff", None),
        ("a", "png", None),
        ("png", "png", None),
        ("album.png/a", "jpeg", None),
        ("a.png", "raw", None),
        ("a.png", None, None),
    ],
)
def test_a_wrong_ending_is_told(name: str, kind: str | None, note: str | None) -> None:
    assert naming.note(name, {"format": kind}) == ({"note": note} if note else {})


def test_every_format_that_is_read_has_its_endings() -> None:
    assert set(naming.ENDINGS) == {name.lower() for name in PLUGINS}
