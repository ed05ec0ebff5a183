"""Functions put into an embedded cloud by plain API calls, for tests of the cloud itself."""

from __future__ import annotations

import base64
import io
import json
import time
import uuid
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import urllib3

from tests.cloud_fixture import EmbeddedCloud

DEADLINE_S = 60

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}
LOGS = {"Effect": "Allow", "Action": "logs:*", "Resource": "*"}


@dataclass(frozen=True)
class Call:
    """What an invocation answered. `error` is the header's X-Amz-Function-Error."""

    value: Any
    error: str | None
    log: str
    request_id: str


@dataclass(frozen=True)
class Deployed:
    """A function in a cloud."""

    cloud: EmbeddedCloud
    name: str
    arn: str
    role: str

    def __call__(self, event: Any = None) -> Call:
        answer = self.cloud.client("lambda").invoke(
            FunctionName=self.name, Payload=json.dumps(event), LogType="Tail"
        )
        return Call(
            value=json.loads(answer["Payload"].read()),
            error=answer.get("FunctionError"),
            log=base64.b64decode(answer.get("LogResult", "")).decode(),
            request_id=answer["ResponseMetadata"]["RequestId"],
        )

    def send(self, event: Any) -> None:
        """Invoke asynchronously."""
        self.cloud.client("lambda").invoke(
            FunctionName=self.name, Payload=json.dumps(event), InvocationType="Event"
        )

    def streams(self) -> dict[str, list[str]]:
        """Return each log stream's lines; empty when there is no log."""
        logs, group = self.cloud.client("logs"), f"/aws/lambda/{self.name}"
        try:
            found = logs.describe_log_streams(logGroupName=group)["logStreams"]
        except logs.exceptions.ResourceNotFoundException:
            return {}
        return {
            stream["logStreamName"]: [
                event["message"]
                for event in logs.get_log_events(
                    logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
                )["events"]
            ]
            for stream in found
        }

    def configure(self, **changes: Any) -> None:
        client = self.cloud.client("lambda")
        client.update_function_configuration(FunctionName=self.name, **changes)
        client.get_waiter("function_updated_v2").wait(
            FunctionName=self.name, WaiterConfig={"Delay": 1}
        )

    def replace(self, source: str) -> None:
        client = self.cloud.client("lambda")
        client.update_function_code(FunctionName=self.name, ZipFile=zipped(source))
        client.get_waiter("function_updated_v2").wait(
            FunctionName=self.name, WaiterConfig={"Delay": 1}
        )


def zipped(source: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("code.py", source)
    return buffer.getvalue()


def deploy(
    cloud: EmbeddedCloud, source: str, *statements: dict[str, Any], **settings: Any
) -> Deployed:
    """Put up a function whose handler is `code.handler`, with a role of its own."""
    name = f"f-{uuid.uuid4().hex[:8]}"
    iam, client = cloud.client("iam"), cloud.client("lambda")
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    if statements:
        policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=policy)
    made = client.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=role,
        Handler="code.handler",
        Code={"ZipFile": zipped(source)},
        **{"Timeout": 30, "MemorySize": 256, **settings},
    )
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
    return Deployed(cloud, name, made["FunctionArn"], name)


def fetch(
    url: str, method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[int, bytes]:
    """Send a request as it is, without a signature; return its status and body."""
    request = urllib3.request(
        method,
        url,
        body=body,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        retries=False,
    )
    return request.status, request.data


def until(condition: Callable[[], Any], deadline_s: float = DEADLINE_S) -> Any:
    """Wait until the condition answers with something true; fail at the deadline."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        if answer := condition():
            return answer
        time.sleep(0.05)
    raise AssertionError("the condition didn't come true")
