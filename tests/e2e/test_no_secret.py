"""Keys, tokens and signatures are in no plan, output, export, log or error."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.deployed import fetch
from tests.e2e.pipeline import Pipeline, without_aws
from tests.photos import DEMO

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("no-secret")]
SIGNATURE = re.compile(r"Signature=(?:[0-9a-f]{64}|[\w%+/-]{27,})")
COMMANDS = (
    ("plan", "--json"),
    ("outputs", "--json"),
    ("status", "--json"),
    ("local", "status", "--json"),
    ("doctor", "--json"),
    ("logs", "--json"),
    ("export", "cloudformation", "--env", "local"),
    ("export", "terraform", "--env", "local"),
    ("metadata", "show", "nothing.jpg"),
    ("dlq", "show", "nothing"),
)
"""What prints something, also when it fails. `local env` prints the keys on purpose."""


@pytest.fixture(scope="module")
def secrets(studio: Pipeline) -> dict[str, str]:
    told = json.loads((studio.folder / ".imgpipe" / "cloud.json").read_text())
    return {name: told[name] for name in ("secret_key", "token")}


def leaks(text: str, secrets: dict[str, str]) -> list[str]:
    signed = ["a signature"] if SIGNATURE.search(text) else []
    return [name for name, value in secrets.items() if value in text] + signed


def logs(pipeline: Pipeline) -> Iterator[str]:
    client = pipeline.client("logs")
    for group in client.describe_log_groups()["logGroups"]:
        pages = client.get_paginator("filter_log_events")
        for page in pages.paginate(logGroupName=group["logGroupName"]):
            yield from (event["message"] for event in page["events"])


def test_no_command_prints_one(studio: Pipeline, secrets: dict[str, str]) -> None:
    studio.run("upload", DEMO / "rocket.jpg", "--wait")
    assert all(len(value) > 20 for value in secrets.values())
    for command in COMMANDS:
        told = studio.run(*command, code=None)
        assert told.out or told.err, command
        assert not leaks(told.out + told.err, secrets), command


def test_no_log_holds_one(studio: Pipeline, secrets: dict[str, str]) -> None:
    """Also not after requests whose signature is wrong, too late, or for something else."""
    bucket = studio.run("outputs", "uploads_bucket", "--raw").out.strip()
    link = studio.client("s3").generate_presigned_url("get_object", {"Bucket": bucket, "Key": "x"})
    for url in (link, link.replace("/x?", "/y?"), re.sub(r"Expires=\d+", "Expires=1", link)):
        for method in ("GET", "PUT", "POST"):
            fetch(url, method, b"x")
    lines = list(logs(studio))
    assert lines
    assert not [line for line in lines if leaks(line, secrets)]
    assert not leaks((studio.folder / ".imgpipe" / "cloud.log").read_text(), secrets)


def test_a_project_keeps_them_from_others(studio: Pipeline) -> None:
    folder = studio.folder / ".imgpipe"
    assert folder.stat().st_mode & 0o077 == 0
    told = json.loads((folder / "cloud.json").read_text())
    others = [path for path in studio.folder.glob("*") if path.is_file()]
    assert not [path for path in others if told["secret_key"] in path.read_text(errors="replace")]


def test_the_console_logs_no_token(studio: Pipeline) -> None:
    token = "planted-token-planted-token-00"
    command = [sys.executable, "-m", "imgpipe", "web", "--port", "0", "--token", token]
    with subprocess.Popen(
        command,
        cwd=studio.folder,
        env=without_aws(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        link = process.stdout.readline().strip()  # where it is told, once
        for path in ("", "desk", "nothing"):
            fetch(f"{link.partition('?')[0]}{path}?token={token}")
        process.terminate()
        rest, err = process.communicate(timeout=20)
    assert token in link
    assert token not in rest + err


def test_a_functions_process_gets_no_key_of_the_project(
    studio: Pipeline, secrets: dict[str, str]
) -> None:
    """Its environment holds its role's session and nothing of the project's or the user's."""
    server = json.loads((studio.folder / ".imgpipe" / "cloud.json").read_text())["pid"]
    children = [
        path.parent for path in Path("/proc").glob("[0-9]*/stat") if _parent(path) == server
    ]
    assert children
    for child in children:
        environment = (child / "environ").read_bytes().decode(errors="replace")
        assert not leaks(environment, secrets)


def _parent(stat: Path) -> int:
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
