"""What the pipeline can't do with an upload is said before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from imgpipe.deploy.model import Spec
from imgpipe.errors import UsageError
from imgpipe.operate.upload import asked
from imgpipe.operate.upload.sources import NotSent, Source

PICTURE = {"variants": {"thumb": {"width": 200}}}


def declared(**sections: Any) -> Spec:
    return Spec.model_validate(
        {"version": 1, "name": "p", "steps": {"thumbs": PICTURE}, **sections}
    )


@pytest.mark.capability("S0-14")
def test_only_who_the_pipeline_names_may_ask_to_be_told() -> None:
    spec = declared(notify={"uploaders": ["Ann@Photos.example"]})
    assert asked.uploader(spec, " ANN@photos.example") == "ann@photos.example"
    with pytest.raises(UsageError, match=r"notify\.uploaders") as caught:
        asked.uploader(spec, "bob@photos.example")
    assert "uploaders: [bob@photos.example]" in caught.value.hint


def test_a_file_that_no_step_works_on_is_not_waited_for() -> None:
    only = {"prefix": "raw/", "suffixes": ["jpg"]}
    spec = declared(steps={"thumbs": {**PICTURE, "only": only}})
    wanted, other = Source("a.JPG", "incoming/raw/a.JPG", 1), Source("b.jpg", "incoming/b.jpg", 1)
    first, second = asked.worked_on([wanted, other], spec)
    assert first == wanted
    assert isinstance(second, NotSent)
    assert second.reason == "no_step"
    assert second.why.startswith(
        "no step works on incoming/b.jpg: `thumbs` takes *.jpg below incoming/raw/"
    )


def test_a_step_for_every_upload_works_on_all() -> None:
    limited = {**PICTURE, "only": {"suffixes": ["png"]}}
    spec = declared(steps={"thumbs": limited, "facts": {"exif": True}})
    source = Source("a.jpg", "incoming/a.jpg", 1)
    assert list(asked.worked_on([source], spec)) == [source]


def test_a_pipeline_for_removals_alone_works_on_no_upload() -> None:
    spec = declared(steps={"tidy": {"on": "removed"}})
    [found] = asked.worked_on([Source("a.jpg", "incoming/a.jpg", 1)], spec)
    assert isinstance(found, NotSent)
    assert "none is for uploads" in found.why
