"""What leave to upload says, and what it is refused for."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from imgpipe.runtime import direct
from imgpipe.runtime.settings import Direct, Settings
from tests.fakes import FakeStore

SETTINGS = Settings(
    pipeline="p",
    environment="e",
    uploads_bucket="uploads",
    prefix="incoming/",
    direct=Direct(max_bytes=1000, types=("image/png", "image/webp"), life_s=60),
)


def ask(body: Any, settings: Settings = SETTINGS, method: str = "POST", **more: Any) -> Any:
    event = {
        "requestContext": {"http": {"method": method}},
        "body": body if isinstance(body, str) else json.dumps(body),
        **more,
    }
    answer = direct.run(event, None, store=FakeStore(), settings=settings, unique=lambda: "u1")
    return answer["statusCode"], json.loads(answer["body"])


def test_leave_names_a_key_that_is_nobody_elses() -> None:
    status, leave = ask({"name": "holiday/a b.png", "type": "image/png"})
    assert status == 201
    assert leave["key"] == leave["fields"]["key"] == "incoming/holiday/u1/a b.png"
    assert (leave["bytes"], leave["expires"]) == (1000, 60)
    assert (
        leave["fields"] | {"Content-Type": "image/png", "most": "1000", "for": "60"}
        == leave["fields"]
    )


def test_a_screenshots_name_is_fine() -> None:
    assert ask({"name": "Screenshot 9.41\u202fAM.png", "type": "image/png"})[0] == 201


def test_two_uploads_of_one_name_have_two_keys() -> None:
    event = {
        "requestContext": {"http": {"method": "POST"}},
        "body": '{"name": "a.png", "type": "image/png"}',
    }
    answers = [direct.run(event, None, store=FakeStore(), settings=SETTINGS) for _ in range(2)]
    first, second = (json.loads(answer["body"])["key"] for answer in answers)
    assert first != second


def test_a_body_in_base64_is_understood() -> None:
    body = base64.b64encode(b'{"name": "a.png", "type": "image/png"}').decode()
    assert ask(body, isBase64Encoded=True)[0] == 201


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "../a.png",
        "a/../b.png",
        "a//b.png",
        "..",
        "${filename}",
        "a\n.png",
        "\ud800.png",
        "x" * 1020,
    ],
)
def test_a_name_that_would_make_another_key_is_refused(name: str) -> None:
    status, said = ask({"name": name, "type": "image/png"})
    assert status == 400
    assert "name" in said["error"]


@pytest.mark.parametrize(
    "kind", ["image/jpeg", "text/html", "image/*", "image/", "image/png\r\nx: y", "IMAGE/PNG"]
)
def test_a_type_that_the_pipeline_does_not_take_is_refused(kind: str) -> None:
    status, said = ask({"name": "a.png", "type": kind})
    assert (status, said["error"]) == (400, "the type must be one of image/png, image/webp")


def test_all_images_are_meant_by_a_star() -> None:
    every = Settings(pipeline="p", environment="e", direct=Direct(max_bytes=1, types=("image/*",)))
    assert ask({"name": "a.jxl", "type": "image/jxl"}, every)[0] == 201
    assert ask({"name": "a.jxl", "type": "video/mp4"}, every)[0] == 400


def test_a_name_that_the_bucket_would_not_announce_is_refused() -> None:
    limited = Settings(
        pipeline="p",
        environment="e",
        direct=Direct(max_bytes=1, types=("image/*",), endings=(".png",)),
    )
    assert ask({"name": "a.jpg", "type": "image/jpeg"}, limited)[1]["error"].endswith(".png")


@pytest.mark.parametrize("body", ["", "no json", "[]", "{}", '{"name": 1, "type": "image/png"}'])
def test_a_question_that_is_none_is_told_how_to_ask(body: str) -> None:
    status, said = ask(body)
    assert status == 400
    assert "POST" in said["error"]
    assert ask({"name": "a.png", "type": "image/png"}, method="GET")[0] == 400


def test_settings_travel_whole() -> None:
    assert Settings.loads(SETTINGS.dumps()) == SETTINGS
