"""Uploads over HTTP: by imgpipe, by curl as the docs have it, and by those who try to get round the limits."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.e2e.deployed import fetch
from tests.e2e.pipeline import Pipeline, without_aws
from tests.photos import DEMO, ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("direct")]
SETTING = "uploads: {direct: {bytes: 1MB, types: [image/jpeg]}}"
PHOTO = DEMO / "rocket.jpg"
ENTRY = re.compile(r"```sh\n(.+?)```", re.DOTALL)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    folder = tmp_path_factory.mktemp("direct")
    made = Pipeline.from_template("thumbnail-metadata", folder)
    declare(made, SETTING)
    shutil.copy(PHOTO, folder / "photo.jpg")
    try:
        made.run("up", "--yes")
        yield made
        made.run("down", "--yes", "--delete-data")
        assert "nothing" in made.run("down", "--yes", "--delete-data").err.lower()
    finally:
        made.run("local", "stop", code=None)


def declare(pipeline: Pipeline, setting: str) -> None:
    file = pipeline.folder / "pipeline.yaml"
    file.write_text(re.sub(r"^uploads: .*$", setting, file.read_text(), flags=re.MULTILINE))


def shell(pipeline: Pipeline, script: str) -> subprocess.CompletedProcess[str]:
    start = f'imgpipe() {{ "{sys.executable}" -m imgpipe "$@"; }}\nset -eu -o pipefail\n'
    return subprocess.run(
        ["bash", "-c", start + script],
        cwd=pipeline.folder,
        env=without_aws(os.environ),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def leave(pipeline: Pipeline) -> dict[str, Any]:
    """Leave to upload a JPEG, asked for with curl as the docs have it."""
    entry = example().partition("jq -r")[0]
    done = shell(pipeline, f'{entry}printf "%s" "$form"')
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def example() -> str:
    [found] = ENTRY.findall((ROOT / "docs" / "direct-uploads.md").read_text())
    return str(found)


def post(leave: dict[str, Any], data: bytes, **changed: str) -> tuple[int, str]:
    """Post `data` with the form's fields, some of them changed; return S3's status and answer."""
    fields = {**leave["fields"], **changed, "file": ("photo.jpg", data)}
    answer = urllib3.request("POST", leave["url"], fields=fields, retries=False)
    return answer.status, answer.data.decode()


def allowed(url: str, origin: str) -> str:
    """Return which pages may call the URL, as it answers the browser of a page of `origin`."""
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    answer = urllib3.request("OPTIONS", url, headers=asked, retries=False)
    return answer.headers.get("Access-Control-Allow-Origin", "")


def keys(pipeline: Pipeline) -> set[str]:
    bucket = pipeline.run("outputs", "uploads_bucket", "--raw").out.strip()
    found = pipeline.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])
    return {each["Key"] for each in found}


@pytest.mark.capability("S4-21")
def test_an_image_goes_through_the_api_and_is_done(pipeline: Pipeline) -> None:
    [image] = pipeline.run("upload", "photo.jpg", "--via-api", "--wait", "--json").json
    assert image["status"] == "done"
    assert re.fullmatch(r"incoming/[0-9a-f]{16}/photo\.jpg", image["key"])
    pipeline.wait_for("log", lambda: image["key"] in pipeline.run("logs", "direct").out)


@pytest.mark.skipif(not shutil.which("jq") or not shutil.which("curl"), reason="needs curl and jq")
@pytest.mark.capability("S4-21")
def test_the_docs_curl_uploads_an_image(pipeline: Pipeline) -> None:
    before = keys(pipeline)
    done = shell(pipeline, example())
    assert done.returncode == 0, done.stderr
    [key] = keys(pipeline) - before
    pipeline.wait_for(
        "end of the upload",
        lambda: '"done"' in pipeline.run("metadata", key, "--json", code=None).out,
    )


@pytest.mark.skipif(not shutil.which("jq") or not shutil.which("curl"), reason="needs curl and jq")
@pytest.mark.capability("S4-21")
def test_s3_holds_the_sender_to_what_was_signed(pipeline: Pipeline, leave: dict[str, Any]) -> None:
    before, photo = keys(pipeline), PHOTO.read_bytes()
    assert post(leave, photo, key="incoming/mine.jpg")[0] == 403
    assert post(leave, photo, key=leave["key"] + "x")[0] == 403
    assert post(leave, photo, **{"Content-Type": "text/html"})[0] == 403
    assert post(leave, photo, acl="public-read")[0] == 403
    status, said = post(leave, bytes(1_000_001))
    assert (status, "EntityTooLarge" in said) == (400, True)
    assert post(leave, b"")[0] == 400
    forged = leave["fields"]["policy"][:-4] + "AAAA"
    assert post(leave, photo, policy=forged)[0] == 403
    assert keys(pipeline) == before
    assert post(leave, photo)[0] == 201
    assert keys(pipeline) - before == {leave["key"]}


@pytest.mark.capability("S4-21")
def test_who_has_no_signature_gets_no_leave(pipeline: Pipeline) -> None:
    url = pipeline.run("outputs", "direct_upload_url", "--raw").out.strip()
    assert fetch(url, "POST", b'{"name": "a.jpg", "type": "image/jpeg"}')[0] == 403


def test_what_the_api_refuses_is_told_file_by_file(pipeline: Pipeline, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "large.jpg").write_bytes(bytes(1_000_001))
    done = pipeline.run("upload", tmp_path / "a.png", tmp_path / "large.jpg", "--via-api", code=1)
    assert "the type must be one of image/jpeg" in done.err
    assert "1,000,001 bytes, and the API takes 1,000,000" in done.err


@pytest.mark.capability("S4-21")
def test_an_open_url_needs_no_signature_and_a_form_ends(pipeline: Pipeline) -> None:
    page = "http://localhost:8080"
    declare(pipeline, f'uploads: {{direct: {{auth: none, expires: 1s}}, origins: ["{page}"]}}')
    try:
        pipeline.run("up", "--yes")
        url = pipeline.run("outputs", "direct_upload_url", "--raw").out.strip()
        status, answer = fetch(url, "POST", b'{"name": "a.jpg", "type": "image/jpeg"}')
        assert status == 201
        assert allowed(url, page) == page
        assert allowed(url, "http://localhost:9090") == ""
        leave = json.loads(answer)

        def ended() -> bool:
            status, said = post(leave, PHOTO.read_bytes())
            return status == 403 and "expired" in said.lower()

        pipeline.wait_for("end of the form", ended, deadline_s=20)
        assert pipeline.run("plan", "--check").code == 0
    finally:
        declare(pipeline, SETTING)
        pipeline.run("up", "--yes")
    assert fetch(url, "POST", b'{"name": "a.jpg", "type": "image/jpeg"}')[0] == 403
