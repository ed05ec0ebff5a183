"""Uploads over HTTP: by imgpipe, by curl as the docs have it, and by those who try to get round the limits."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

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


def policy_of(leave: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(leave["fields"]["policy"]))
    return found


def rewritten(policy: dict[str, Any]) -> str:
    return base64.b64encode(json.dumps(policy).encode()).decode()


def another_leave(pipeline: Pipeline) -> dict[str, Any]:
    entry = example().partition("jq -r")[0]
    found: dict[str, Any] = json.loads(shell(pipeline, f'{entry}printf "%s" "$form"').stdout)
    return found


@pytest.mark.skipif(not shutil.which("jq") or not shutil.which("curl"), reason="needs curl and jq")
def test_a_signed_policy_can_not_be_widened_nor_lent(
    pipeline: Pipeline, leave: dict[str, Any]
) -> None:
    """More bytes, a later end, another key, no conditions at all: each is another policy than the signed one."""
    before, photo, signed = keys(pipeline), PHOTO.read_bytes(), policy_of(leave)
    wider = [
        [name, low, 10**9] if name == "content-length-range" else [name, low, most]
        for name, low, most in (each for each in signed["conditions"] if isinstance(each, list))
    ]
    dicts = [each for each in signed["conditions"] if isinstance(each, dict)]
    changed = [
        {**signed, "conditions": [*dicts, *wider]},
        {**signed, "expiration": "2099-01-01T00:00:00Z"},
        {**signed, "conditions": [["starts-with", "$key", ""]]},
        {**signed, "conditions": []},
    ]
    for policy in changed:
        assert policy != signed
        assert post(leave, photo, policy=rewritten(policy))[0] == 403
    other = another_leave(pipeline)
    lent = {name: other["fields"][name] for name in ("policy", "x-amz-signature")}
    assert post(leave, photo, **lent)[0] == 403  # another's policy names another key
    assert post(leave, photo, policy=lent["policy"])[0] == 403
    assert post(leave, photo, **{"x-amz-signature": lent["x-amz-signature"]})[0] == 403
    assert post(leave, photo, **{"x-amz-date": "20990101T000000Z"})[0] in {400, 403}
    for missing in ("policy", "x-amz-signature", "x-amz-credential"):
        fields = {name: it for name, it in leave["fields"].items() if name != missing}
        assert 400 <= post({**leave, "fields": fields}, photo)[0] < 404
    assert keys(pipeline) == before


@pytest.mark.skipif(not shutil.which("jq") or not shutil.which("curl"), reason="needs curl and jq")
def test_a_form_opens_nothing_but_its_own_upload(pipeline: Pipeline, leave: dict[str, Any]) -> None:
    """It can't be turned into a link to read, to list or to delete."""
    query = "&".join(
        f"{name.title() if name.startswith('x-') else name}={quote(str(value), safe='')}"
        for name, value in leave["fields"].items()
    )
    for method, path in (("GET", ""), ("GET", f"/{leave['key']}"), ("DELETE", f"/{leave['key']}")):
        assert fetch(f"{leave['url'].rstrip('/')}{path}?{query}", method)[0] in {400, 403}
    put = f"{leave['url'].rstrip('/')}/{leave['key']}?{query}"
    assert fetch(put, "PUT", PHOTO.read_bytes())[0] in {400, 403}


def test_a_link_to_a_picture_opens_that_picture_until_it_ends(pipeline: Pipeline) -> None:
    """As in a notice: signed for one key, one method and a time."""
    bucket = pipeline.run("outputs", "variants_bucket", "--raw").out.strip()
    s3 = pipeline.client("s3")
    for key in ("thumb/mine.jpg", "thumb/others.jpg"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"bytes")

    def link(life_s: int) -> str:
        named = {"Bucket": bucket, "Key": "thumb/mine.jpg"}
        return str(s3.generate_presigned_url("get_object", named, ExpiresIn=life_s))

    good = link(60)
    assert fetch(good) == (200, b"bytes")
    assert fetch(good.replace("mine", "others"))[0] == 403
    for method in ("PUT", "DELETE"):
        assert fetch(good, method, b"x")[0] == 403
    longer = re.sub(r"(X-Amz-Expires|Expires)=\d+", r"\g<1>=9999999999", good)
    assert longer != good
    assert fetch(longer)[0] in {400, 403}
    assert fetch(re.sub(r"Signature=[^&]+", "Signature=" + "0" * 64, good))[0] == 403
    ending = link(1)
    pipeline.wait_for("end of the link", lambda: fetch(ending)[0] == 403, deadline_s=20)


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
