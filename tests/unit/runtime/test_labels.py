"""What a model recognises joins the tags that were computed, and each says where it comes from."""

import json
from typing import Any

import pytest

from imgpipe.runtime import image, labels, steps
from imgpipe.runtime.made import Made
from imgpipe.runtime.store import Label
from tests.fakes import SETTINGS, UPLOADS, FakeContext, FakeStore, s3_event, sqs_event
from tests.pictures import corners, encoded, exif, opened

COMPUTED = {"name": "landscape", "origin": "basic"}


def test_labels_follow_the_computed_tags() -> None:
    store = FakeStore(labelled=[Label("Dog", 98.1349)])
    told = labels.facts(Made(facts={"tags": [COMPUTED]}, preview=b"jpeg"), store)
    assert told["tags"] == [COMPUTED, {"name": "Dog", "origin": "rekognition", "confidence": 98.1}]
    assert store.shown == [b"jpeg"]


def test_without_a_preview_nobody_is_asked() -> None:
    store = FakeStore(labelled=[Label("Dog", 98.1)])
    assert labels.facts(Made(facts={"tags": [COMPUTED]}), store) == {"tags": [COMPUTED]}
    assert store.shown == []


@pytest.mark.capability("S2-5")
@pytest.mark.parametrize("asked", ["basic", "rekognition"])
def test_the_model_is_shown_a_small_upright_copy_without_metadata(asked: str) -> None:
    from dataclasses import replace

    store = FakeStore(labelled=[Label("Flag", 99.0)])
    data = encoded(corners(3000, 2000), exif=exif(t274=1, t272="D90"))
    record = store.upload(UPLOADS, "incoming/a.jpg", data)
    settings = replace(SETTINGS, steps={"facts": {"tags": asked, "hash": "h"}})
    done: Any = steps.run(
        sqs_event(s3_event(record)), FakeContext(), image.make, store=store, settings=settings
    )
    assert done == {"batchItemFailures": []}
    (result,) = store.take("results")
    json.dumps(result, allow_nan=False)
    origins = {tag["name"]: tag["origin"] for tag in result["facts"]["tags"]}
    assert origins["landscape"] == "basic"
    assert origins["camera"] == "basic"
    assert origins.get("Flag") == (None if asked == "basic" else "rekognition")
    for shown in map(opened, store.shown):
        assert shown.size == (1024, 683)
        assert not dict(shown.getexif())


def test_a_model_that_does_not_answer_brings_the_message_back() -> None:
    from dataclasses import replace

    store = FakeStore()
    record = store.upload(UPLOADS, "incoming/a.jpg", encoded(corners()))
    store.break_on("labels")
    settings = replace(SETTINGS, steps={"facts": {"tags": "rekognition", "hash": "h"}})
    event = sqs_event(s3_event(record))
    done = steps.run(event, FakeContext(), image.make, store=store, settings=settings)
    assert len(done["batchItemFailures"]) == 1
