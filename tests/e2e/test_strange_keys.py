"""A key with control characters can be uploaded, listed and taken down with everything else."""

from __future__ import annotations

import pytest
from PIL import Image

from tests.e2e.pipeline import Pipeline

pytestmark = pytest.mark.e2e


def test_a_bucket_with_an_escape_in_a_key_can_be_emptied(own_studio: Pipeline) -> None:
    photo = own_studio.folder / "esc\x1b[31mred.jpg"
    Image.new("RGB", (64, 48), "teal").save(photo, "JPEG")
    [image] = own_studio.run("upload", photo, "--wait", "--json").json
    assert image["status"] == "done"

    own_studio.run("down", "--yes", "--delete-data")
    again = own_studio.run("down", "--yes", "--delete-data")
    assert "nothing" in (again.out + again.err).lower()
