"""Uploads that are too much for a function go to its lane, told by size and first bytes."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from PIL import Image

from imgpipe.runtime import lane, steps
from imgpipe.runtime.made import Made
from imgpipe.runtime.settings import Lane, Settings
from tests.fakes import SETTINGS, UPLOADS, FakeContext, FakeSource, FakeStore, s3_event, sqs_event

KEY = "incoming/a.jpg"


def photograph(width: int, height: int, image_format: str = "JPEG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(out, image_format)
    return out.getvalue()


@pytest.mark.capability("S3-9", "X15")
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("left_behind", [1_000, None])
def test_the_first_bytes_tell_the_pixels(
    image_format: str, left_behind: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever limit the last image left in the process."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", left_behind)
    data = photograph(400, 300, image_format)
    assert lane.pixels(data[: lane.HEAD_BYTES]) == 120_000
    assert lane.is_for(Lane(queue_url="q", max_pixels=119_999), FakeSource(data, None))
    assert not lane.is_for(Lane(queue_url="q", max_pixels=120_000), FakeSource(data, None))
    assert left_behind == Image.MAX_IMAGE_PIXELS


def test_a_head_that_says_nothing_keeps_the_upload_where_it_is() -> None:
    assert lane.pixels(b"Dear studio") == 0
    assert not lane.is_for(Lane(queue_url="q", max_pixels=1), FakeSource(b"Dear studio", None))


@pytest.mark.capability("S4-22", "X15")
def test_what_is_too_much_is_handed_over_as_it_came_and_nothing_is_said_of_it() -> None:
    store, worked = FakeStore(), []
    record = store.upload(UPLOADS, KEY, b"x" * 100)

    def make(data: bytes, *_: object) -> dict[str, Made]:
        worked.append(data)
        return {"sizes": Made()}

    for limit in (99, 100):
        told = replace(SETTINGS, lane=Lane(queue_url="large", max_bytes=limit))
        event = sqs_event(s3_event(record))
        assert steps.run(event, FakeContext(), make, store=store, settings=told) == {
            "batchItemFailures": []
        }
    assert store.take("large") == [json.loads(event["Records"][0]["body"])]
    assert len(worked) == len(store.take("results")) == 1


def test_a_lane_that_can_not_be_reached_brings_the_message_back() -> None:
    store = FakeStore()
    record = store.upload(UPLOADS, KEY, b"x" * 100)
    store.break_on("send:large")
    told = replace(SETTINGS, lane=Lane(queue_url="large", max_bytes=1))
    answer = steps.run(
        sqs_event(s3_event(record)), FakeContext(), lambda *_: {}, store=store, settings=told
    )
    assert len(answer["batchItemFailures"]) == 1


def test_settings_with_a_lane_read_back_equal() -> None:
    told = replace(SETTINGS, lane=Lane(queue_url="large", max_pixels=40))
    assert Settings.loads(told.dumps()) == told
    assert "lane" not in SETTINGS.dumps()
