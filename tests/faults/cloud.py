"""An embedded cloud to be killed, starved and started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from imgpipe.local import lifecycle

DEADLINE_S = 150.0


class Cloud:
    """An embedded cloud in a folder, whichever process and port serves it at the moment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock: dict[str, Any] = {}
        self.serving = threading.Event()
        self._clients: dict[tuple[str, str], Any] = {}

    def start(self) -> None:
        self._lifecycle("ensure")
        self.lock = json.loads((self.folder / ".imgpipe" / "cloud.json").read_text())
        self.serving.set()

    def stop(self) -> None:
        self._lifecycle("stop")

    def _lifecycle(self, call: str) -> None:
        """In a process of its own, as the command line does it, so that the server is no child of the tests."""
        code = f"import pathlib, sys; from imgpipe.local import lifecycle; lifecycle.{call}(pathlib.Path(sys.argv[1]))"
        subprocess.run([sys.executable, "-c", code, str(self.folder)], check=True)

    def kill(self) -> None:
        self.serving.clear()
        os.kill(self.lock["pid"], signal.SIGKILL)
        deadline = time.monotonic() + DEADLINE_S
        while lifecycle.status(self.folder) is not None:
            assert time.monotonic() < deadline, "it outlives kill -9"

    def client(self, service: str, **keys: str) -> Any:
        """Return a client for the process that serves now; `keys` in place of the project's own."""
        lock = self.lock
        known = (service, lock["endpoint"])
        if keys or known not in self._clients:
            made = boto3.client(
                service,
                endpoint_url=lock["endpoint"],
                region_name=lock["region"],
                config=Config(
                    retries={"total_max_attempts": 1},
                    s3={"addressing_style": "path"},
                    read_timeout=20,
                ),
                **{
                    "aws_access_key_id": lock["access_key"],
                    "aws_secret_access_key": lock["secret_key"],
                    **keys,
                },
            )
            if keys:
                return made
            self._clients[known] = made
        return self._clients[known]

    def queue(self, name: str) -> str:
        url: str = self.client("sqs").get_queue_url(QueueName=name)["QueueUrl"]
        return url


def allow(service: str, action: str, arn: str) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": action,
        "Resource": arn,
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def make_queue(
    cloud: Cloud, name: str, service: str = "sns.amazonaws.com", **attributes: str
) -> str:
    sqs = cloud.client("sqs")
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    arn: str = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    sqs.set_queue_attributes(
        QueueUrl=url, Attributes={"Policy": allow(service, "sqs:SendMessage", arn)}
    )
    return arn


def until(found: Callable[[], set[str]], wanted: set[str]) -> set[str]:
    """Collect what `found` returns until all that is wanted was seen, or time is up."""
    seen: set[str] = set()
    deadline = time.monotonic() + DEADLINE_S
    while not wanted <= seen and time.monotonic() < deadline:
        seen |= found()
    return seen


def bodies(cloud: Cloud, queue: str) -> list[str]:
    answer = cloud.client("sqs").receive_message(
        QueueUrl=cloud.queue(queue),
        MaxNumberOfMessages=10,
        VisibilityTimeout=3600,
        WaitTimeSeconds=1,
    )
    return [message["Body"] for message in answer.get("Messages", ())]
