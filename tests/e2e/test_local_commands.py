"""`imgpipe local …`, as a person types it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from imgpipe.local import lifecycle
from tests.cloud_fixture import EmbeddedCloud

pytestmark = pytest.mark.e2e


@dataclass
class Shell:
    folder: Path
    width: int = 80

    def __call__(self, *words: str, code: int = 0, typed: str = "") -> str:
        """Run `imgpipe local WORDS`; return what it printed, on both streams."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "IMGPIPE_"))}
        done = subprocess.run(
            [sys.executable, "-m", "imgpipe", "local", *words],
            cwd=self.folder,
            env={**clean, "COLUMNS": str(self.width), "NO_COLOR": "1"},
            input=typed,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    yield Shell(tmp_path)
    lifecycle.stop(tmp_path)


def test_before_the_first_start_everything_says_so(shell: Shell) -> None:
    assert "is not running" in shell("status", code=3)
    assert json.loads(shell("status", "--json", code=3)) == {"running": False}
    assert "hint:  imgpipe local start" in shell("env", code=1)
    assert "is not running" in shell("stop")
    assert "No mail" in shell("mail")
    assert not (shell.folder / ".imgpipe").exists()


def test_a_life(shell: Shell) -> None:
    assert "Started the embedded cloud on http://127.0.0.1:" in shell("start")
    assert "is running on http://127.0.0.1:" in shell("start")
    facts = json.loads(shell("status", "--json"))
    assert facts["running"]
    assert {"pid", "port", "uptime_s", "memory_bytes", "data_bytes", "functions"} <= set(facts)
    for shell.width in (80, 160):
        shown = shell("status")
        assert facts["endpoint"] in shown
        assert max(map(len, shown.splitlines())) <= shell.width

    assert "not confirmed" in shell("reset", code=1, typed="n\n")
    assert json.loads(shell("status", "--json"))["pid"] == facts["pid"]
    shell("reset", "--yes")
    assert "is not running" in shell("status", code=3)
    assert json.loads(shell("start", "--json"))["port"] == facts["port"]
    assert "Stopped" in shell("stop")


def test_a_port_can_be_named_and_is_checked(shell: Shell) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert f"port {port}: another program listens there" in shell(
            "start", "--port", str(port), code=1
        )
    assert f":{port}" in shell("start", "--port", str(port))
    assert "already, on port" in shell("start", "--port", str(port - 1), code=1)


def test_the_variables_point_any_sdk_at_it(shell: Shell) -> None:
    shell("start")
    script = (
        'eval "$("$0" -m imgpipe local env)" && "$0" -c \''
        'import boto3; s3 = boto3.client("s3"); s3.create_bucket(Bucket="by-shell");'
        'print(boto3.client("sts").get_caller_identity()["Account"],'
        'boto3.client("sqs").list_queues()["ResponseMetadata"]["HTTPStatusCode"])'
        "'"
    )
    done = subprocess.run(
        ["bash", "-c", script, sys.executable],
        cwd=shell.folder,
        env={**os.environ, "AWS_PROFILE": "elsewhere", "AWS_SESSION_TOKEN": "old"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.split() == ["000000000000", "200"], done.stderr
    variables = json.loads(shell("env", "--json"))
    assert variables["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")


@pytest.mark.skipif(not shutil.which("aws"), reason="the AWS CLI isn't installed")
def test_the_plain_aws_command_reaches_every_service(shell: Shell) -> None:
    shell("start")
    script = """
    set -e
    eval "$("$0" -m imgpipe local env)"
    aws s3 mb s3://by-cli
    echo hello | aws s3 cp - s3://by-cli/note.txt
    aws s3 ls s3://by-cli
    aws s3 cp s3://by-cli/note.txt -
    url=$(aws sqs create-queue --queue-name by-cli --query QueueUrl --output text)
    aws sqs get-queue-attributes --queue-url "$url" --attribute-names QueueArn
    aws dynamodb list-tables
    aws logs describe-log-groups
    """
    done = subprocess.run(
        ["bash", "-c", script, sys.executable],
        cwd=shell.folder,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "hello" in done.stdout
    assert "arn:aws:sqs:us-east-1:000000000000:by-cli" in done.stdout


@pytest.mark.capability("S1-7")
def test_mail_is_listed_shown_and_confirmed(shell: Shell) -> None:
    shell("start")
    cloud = EmbeddedCloud(shell.folder, lifecycle.ensure(shell.folder))
    sns = cloud.client("sns")
    topic = sns.create_topic(Name="notices")["TopicArn"]
    for address in ("ada@example.com", "bob@example.com"):
        sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=address)

    letters = json.loads(shell("mail", "--json"))
    assert all(re.fullmatch(r"[\d-]+T[\d:]+\.\d{3}Z", letter["at"]) for letter in letters)
    assert [(it["number"], it["to"], it["kind"]) for it in letters] == [
        (1, "ada@example.com", "confirm"),
        (2, "bob@example.com", "confirm"),
    ]
    assert "To: ada@example.com" in shell("mail", "show", "1")
    assert "mail 3: there are 2 mails" in shell("mail", "show", "3", code=1)
    assert "name an address" in shell("mail", "confirm", code=2)
    assert "no mail asks" in shell("mail", "confirm", "eve@example.com", code=1)
    assert "confirmed" in shell("mail", "confirm", "ada@example.com")
    sns.publish(TopicArn=topic, Subject="Ready", Message="Your photo is ready")

    assert _pending(sns, topic) == {"bob@example.com"}
    arrived = json.loads(shell("mail", "--json"))[2:]
    assert [(it["to"], it["subject"]) for it in arrived] == [("ada@example.com", "Ready")]
    assert "Your photo is ready" in shell("mail", "show", "3")
    assert json.loads(shell("mail", "confirm", "--all", "--json"))[1]["confirmed"]
    assert _pending(sns, topic) == set()


def _pending(sns: object, topic: str) -> set[str]:
    listed = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]  # type: ignore[attr-defined]
    return {it["Endpoint"] for it in listed if it["SubscriptionArn"] == "PendingConfirmation"}
