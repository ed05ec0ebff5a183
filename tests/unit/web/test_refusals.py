"""What can't be answered is refused in words that help, and never blamed on the cloud."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imgpipe import cloud
from imgpipe.errors import UnreachableError, UsageError
from imgpipe.operate.dlq import by_group
from imgpipe.web import serve, show
from tests.studio import in_moto, studio
from tests.unit.web.visiting import Console


@pytest.fixture(scope="module")
def console() -> Iterator[Console]:
    with in_moto() as project:
        yield Console(project)


@pytest.mark.parametrize("more", [{}, {"q": "holiday"}, {"status": "failed"}])
def test_dates_in_the_wrong_order_are_named(console: Console, more: dict[str, str]) -> None:
    answer = console.get("/tiles", since="2026-11-22", until="2026-11-01", **more)
    assert answer.status == 400
    assert "from 2026-11-22 00:00 to 2026-11-01 23:59" in answer.text
    assert "the end comes before the beginning" in answer.text


def test_one_day_is_a_stretch_of_time_and_the_day_before_is_none(console: Console) -> None:
    assert console.get("/tiles", since="2026-11-22", until="2026-11-22").status == 200
    assert console.get("/tiles", since="2026-11-22", until="2026-11-21").status == 400


@pytest.mark.parametrize(
    "asked",
    [
        {"call": "part"},
        {"call": "part", "partNumber": 1},
        {"call": "part", "uploadId": "", "partNumber": 1},
        {"call": "part", "uploadId": "u"},
        {"call": "part", "uploadId": "u", "partNumber": 0},
        {"call": "part", "uploadId": "u", "partNumber": 10_001},
        {"call": "part", "uploadId": "u", "partNumber": "\u0661"},
        {"call": "part", "uploadId": ["u"], "partNumber": 1},
        {"call": "list"},
        {"call": "complete"},
        {"call": "abort"},
        {"call": "other", "uploadId": "u"},
    ],
)
def test_half_a_wish_for_leave_is_refused(console: Console, asked: dict[str, Any]) -> None:
    assert console.post("/uploads/link", {"key": "incoming/a.jpg", **asked}).status == 400


def test_a_whole_wish_is_granted(console: Console) -> None:
    asked = {"call": "part", "key": "incoming/a.jpg", "uploadId": "u", "partNumber": 10_000}
    assert console.post("/uploads/link", asked).status == 200


@pytest.mark.parametrize(
    ("hint", "is_command"),
    [
        ("imgpipe local start", True),
        ("aws sso login", True),
        ("check your network; for the embedded cloud, imgpipe local status", False),
        ("imgpipe local start, which finds a free one", False),
        ("", False),
    ],
)
def test_a_hint_is_set_as_a_command_only_where_it_is_one(hint: str, *, is_command: bool) -> None:
    told = show.hinted(hint)
    assert told == {"hint": "" if is_command else hint, "command": hint if is_command else ""}


def test_what_the_cloud_refuses_a_part_of_a_page_is_not_called_a_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: Any) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr(by_group, "groups", refuse)
    answer = Console(studio()).get("/desk/letters")
    assert answer.status == 502
    assert "out of order" in answer.text
    assert "This page" not in answer.text


def test_where_nothing_was_ever_up_the_way_out_is_to_bring_it_up(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError) as never:
        cloud.local_target(tmp_path)
    assert never.value.hint == "imgpipe up"
    (tmp_path / ".imgpipe").mkdir()
    with pytest.raises(UnreachableError) as stopped:
        cloud.local_target(tmp_path)
    assert stopped.value.hint == "imgpipe local start"


def test_an_address_that_is_not_ours_is_not_mended_by_another_port() -> None:
    with pytest.raises(UsageError) as nowhere:
        serve.listen("nowhere.invalid", 0)
    assert "--port" not in nowhere.value.hint
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UsageError) as busy:
        serve.listen("127.0.0.1", taken.getsockname()[1])
    assert busy.value.hint == "imgpipe web --port 0"
