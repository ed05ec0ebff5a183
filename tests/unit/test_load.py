"""A burst's pictures and its figures."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws
from PIL import Image

from imgpipe.deploy.model import Notify, Spec
from imgpipe.errors import UsageError
from imgpipe.operate import rows
from imgpipe.operate.load import addressees, compare, pictures, report
from imgpipe.operate.load.burst import Burst, Plan, Upload
from imgpipe.operate.load.tiers import Application, Setup
from imgpipe.operate.project import Project
from imgpipe.operate.upload.send import Sent
from imgpipe.operate.wait import Ended
from imgpipe.runtime import items
from imgpipe.runtime.notices import claim_key
from imgpipe.runtime.row import generation
from tests.photos import DEMO
from tests.studio import create_buckets, create_queues, create_table, put_row, result, studio

NOW = datetime(2026, 11, 21, 7, 0, tzinfo=UTC)


def test_a_made_picture_is_a_photograph_of_the_size_that_was_asked_for() -> None:
    data = pictures.made(2.0)
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "JPEG"
        assert image.width * image.height == pytest.approx(2e6, rel=0.01)
    assert data == pictures.made(2.0)
    assert 0.1 < len(data) / 2e6 < 1.0  # bytes a pixel, as of a camera's


def test_every_upload_of_a_burst_is_another_file_with_the_same_picture() -> None:
    files = [
        (".jpg", (DEMO / "rocket.jpg").read_bytes()),
        (".png", (DEMO / "coffee.png").read_bytes()),
    ]
    sent = list(pictures.stream(files, 6))
    assert [name for name, _ in sent] == [
        f"{n:06}{'.jpg' if n % 2 == 0 else '.png'}" for n in range(6)
    ]
    assert len({data for _, data in sent}) == 6
    for number, (_, data) in enumerate(sent):
        with (
            Image.open(io.BytesIO(data)) as now,
            Image.open(io.BytesIO(files[number % 2][1])) as before,
        ):
            assert now.tobytes() == before.tobytes()


def test_pictures_are_read_from_folders_and_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.JPG").write_bytes(b"12")
    assert pictures.read([tmp_path]) == [(".jpg", b"12")]
    monkeypatch.setattr(pictures, "MOST_BYTES", 1)
    with pytest.raises(UsageError, match="too many to hold"):
        pictures.read([tmp_path])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no file"):
        pictures.read([tmp_path / "empty"])


def burst(project: Any, keys: list[str], ended: dict[str, Any]) -> Burst:
    made = Burst(project, Plan(pictures=[(".jpg", b"")], images=len(keys), name="run"))
    for key in keys:
        sent = Sent(key, key, "v1", "e", 1000)
        made.uploads[key] = Upload(sent, NOW, NOW + timedelta(seconds=1), 0.5)
    made.ended = {key: Ended(key=key, status=status) for key, status in ended.items()}
    made.seconds = 2.0
    return made


def _people_were_told(project: Project, key: str, at: str) -> None:
    """Put the claim of a notice that went out."""
    upload = generation(rows.by_keys(project, [key])[key])
    fields = {"pk": key, "sk": claim_key("completed", upload), "claimed_at": at, "sent_at": at}
    project.cloud.client("dynamodb").put_item(
        TableName=project.graph.table, Item=items.encode(fields)
    )


def test_what_has_no_end_is_lost_and_what_no_row_names_is_doubled() -> None:
    with mock_aws():
        project = studio()
        create_buckets(project)
        create_table(project)
        create_queues(project)
        keys = [f"{project.graph.prefix}load/run/{name}.jpg" for name in ("good", "gone")]
        steps = ("thumbnail", "enhance", "sizes", "metadata")
        output = {
            "thumb": {
                "key": "thumb/load/run/good.1.jpg",
                "width": 1,
                "height": 1,
                "bytes": 1,
                "format": "jpeg",
            }
        }
        put_row(
            project,
            *(
                result(
                    keys[0],
                    step=step,
                    outputs=output if step == "thumbnail" else {},
                    at="2026-11-21T07:00:03.000Z",
                )
                for step in steps
            ),
        )
        _people_were_told(project, keys[0], "2026-11-21T07:00:05.000Z")
        found = report.of(burst(project, keys, {keys[0]: "done", keys[1]: "pending"}))
        assert found.lost == (keys[1],)
        assert (found.ended, found.images_per_s) == ({"done": 1}, 0.5)
        assert found.times()["upload_to_done"]["p50"] == 2.0
        assert found.times()["upload_to_preview"]["p99"] == 2.0
        assert found.times()["upload_to_notice"]["p50"] == 4.0
        assert found.extra_outputs == 0
        for name in ("good.1.jpg", "good.2.jpg"):
            project.cloud.client("s3").put_object(
                Bucket=project.graph.variants_bucket, Key=f"thumb/load/run/{name}", Body=b""
            )
        doubled = report.of(burst(project, keys[:1], {keys[0]: "done"}))
        assert (doubled.lost, doubled.extra_outputs, doubled.nothing_lost) == ((), 1, False)


def test_who_will_hear_of_a_burst_is_told_before_it() -> None:
    people = {"uploaded": {"email": ["a@example.com"], "sms": ["+491701234567"]}}
    people |= {"completed": {"email": ["a@example.com", "b@example.com"]}}
    step = {"thumbs": {"variants": {"thumb": {"width": 60}}}}
    spec = Spec.model_validate({"version": 1, "name": "x", "steps": step, "notify": people})
    assert addressees.told(spec) == (
        "3 addresses (2 by e-mail, 1 by SMS) will get notices of it; "
        "more than 5 of a kind within 10 s come as one digest"
    )
    failing = spec.model_copy(
        update={"notify": Notify.model_validate({"failed": {"email": ["c@example.com"]}})}
    )
    assert addressees.told(failing).startswith("1 address (1 by e-mail) if images fail")
    assert addressees.told(spec.model_copy(update={"notify": Notify()})) == ""


class EnoughError(Exception):
    """In place of polling for ever."""


class OneLook:
    """A store whose queue is asked once."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}

    def client(self, _: str) -> OneLook:
        return self

    def receive_message(self, **asked: Any) -> None:
        self.asked = asked
        raise EnoughError


def test_what_a_killed_tier_took_comes_back_long_before_the_comparison_gives_up() -> None:
    setup = Setup(bucket="b", prefix="p/", web_port=1, app_port=2, queue_url="q")
    store: Any = OneLook()
    with pytest.raises(EnoughError):
        Application(setup, store).poll()
    hidden_s = store.asked["VisibilityTimeout"]
    assert compare.SLOW_S < hidden_s < compare.SETTLE_S / 10
