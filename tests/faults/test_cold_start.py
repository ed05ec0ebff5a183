"""The first batches after the first start: nothing is prepared yet, and several environments want
the same folders at once. A batch that fails there would hide its messages for their visibility
timeout, which here is longer than the test's patience.
"""

from __future__ import annotations

import io
import json
import os
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.faults.cloud import Cloud

if TYPE_CHECKING:
    from pathlib import Path

STARTS = int(os.environ.get("IMGPIPE_COLD_STARTS", "3"))
FUNCTIONS = ("first", "second", "third")
MESSAGES = 10
PATIENCE_S = 30.0
RUNTIME = "python3.11"
ROLE = "arn:aws:iam::000000000000:role/worker"
OPEN = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def _zip() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as made:
        made.writestr("main.py", "def handler(event, context):\n    return None\n")
    return packed.getvalue()


def _make_role(cloud: Cloud) -> None:
    trusted = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}}
    trust = {"Version": "2012-10-17", "Statement": [{**trusted, "Action": "sts:AssumeRole"}]}
    policy = {"Version": "2012-10-17", "Statement": [OPEN]}
    iam = cloud.client("iam")
    iam.create_role(RoleName="worker", AssumeRolePolicyDocument=json.dumps(trust))
    iam.put_role_policy(RoleName="worker", PolicyName="all", PolicyDocument=json.dumps(policy))


def _make_mapped_queue(cloud: Cloud, name: str) -> str:
    sqs, functions = cloud.client("sqs"), cloud.client("lambda")
    url: str = sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "900"})["QueueUrl"]
    functions.create_function(
        FunctionName=name,
        Runtime=RUNTIME,
        Role=ROLE,
        Handler="main.handler",
        Code={"ZipFile": _zip()},
    )
    functions.create_event_source_mapping(
        EventSourceArn=f"arn:aws:sqs:us-east-1:000000000000:{name}", FunctionName=name, BatchSize=1
    )
    return url


def _send(cloud: Cloud, url: str) -> None:
    entries = [{"Id": str(number), "MessageBody": "x"} for number in range(MESSAGES)]
    cloud.client("sqs").send_message_batch(QueueUrl=url, Entries=entries)


def _left(cloud: Cloud, url: str) -> dict[str, str]:
    found = cloud.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    counts = {
        name: value
        for name, value in found["Attributes"].items()
        if name.startswith("ApproximateNumberOfMessages")
    }
    return {name: value for name, value in counts.items() if value != "0"}


@pytest.mark.parametrize("start", range(STARTS))
def test_no_message_waits_for_its_visibility_timeout_after_a_cold_start(
    tmp_path: Path, start: int
) -> None:
    cloud = Cloud(tmp_path)
    cloud.start()
    try:
        _make_role(cloud)
        urls = [_make_mapped_queue(cloud, name) for name in FUNCTIONS]
        with ThreadPoolExecutor() as threads:
            list(threads.map(lambda url: _send(cloud, url), urls))
        deadline = time.monotonic() + PATIENCE_S
        while any(_left(cloud, url) for url in urls) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert [_left(cloud, url) for url in urls] == [{}] * len(urls)
    finally:
        cloud.stop()
