"""An image that was asked for without its folder is found all the same; one that was erased is told as erased."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from imgpipe.operate import ops
from imgpipe.operate.erase import receipts
from imgpipe.operate.project import Project
from imgpipe.operate.why.ask import ask
from imgpipe.operate.why.verdict import why
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


@pytest.mark.capability("X11")
def test_a_key_that_was_erased_is_told_with_its_receipt(project: Project) -> None:
    key, kept = "incoming/gone.jpg", f"{receipts.folder('incoming/gone.jpg')}/20261121T080000Z.json"
    note = {"key": key, "ended": "2026-11-21T08:00:00.000Z", "kept_as": f"ops/{kept}"}
    ops.write(project, kept, note)
    ops.write(project, receipts.open_name("incoming/begun.jpg"), {"key": "incoming/begun.jpg"})

    story = why(project, "gone.jpg")
    assert (story.end, story.well, story.broken) == ("erased", True, None)
    [hop] = story.hops
    assert note["kept_as"] in hop.text
    assert hop.at == datetime(2026, 11, 21, 8, tzinfo=UTC)
    assert why(project, "begun.jpg").end == "never"
    put_row(project, result(key))  # it came again
    assert why(project, "gone.jpg").end != "erased"
