"""An image that was asked for without its folder is found all the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from imgpipe.operate.project import Project
from imgpipe.operate.why.ask import ask
from tests.studio import in_moto, put_row, result


@pytest.fixture
def project() -> Iterator[Project]:
    with in_moto() as made:
        for key in ("incoming/album/day/a.jpg", "incoming/album/b.jpg", "incoming/b.jpg"):
            put_row(made, result(key))
        yield made


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("day/a.jpg", ("incoming/album/day/a.jpg",)),
        ("a.jpg", ("incoming/album/day/a.jpg",)),
        ("night/b.jpg", ("incoming/album/b.jpg", "incoming/b.jpg")),
        ("c.jpg", ()),
    ],
)
def test_a_key_that_never_was_is_looked_for_in_other_folders(
    project: Project, asked: str, found: tuple[str, ...]
) -> None:
    assert tuple(sorted(ask(project, asked).similar)) == found
