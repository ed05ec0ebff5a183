"""Which requests change something, read off their heads."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from imgpipe.local.journal.requests import Request

FORM = "application/x-www-form-urlencoded; charset=utf-8"


def request(
    service: str,
    method: str = "POST",
    path: str = "/",
    target: str = "",
    query: str = "",
    **headers: str,
) -> Request:
    credential = f"AWS4-HMAC-SHA256 Credential=AKID/20261121/eu-west-1/{service}/aws4_request, SignedHeaders=host"
    named = {"authorization": credential, "x-amz-target": target, **headers}
    scope = {
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [
            (name.replace("_", "-").encode(), value.encode()) for name, value in named.items()
        ],
    }
    return Request(scope)


@pytest.mark.parametrize(
    ("made", "changes", "settings"),
    [
        (request("sqs", target="AmazonSQS.SendMessage"), True, False),
        (request("sqs", target="AmazonSQS.SendMessageBatch"), True, False),
        (request("sqs", target="AmazonSQS.DeleteMessage"), True, False),
        (request("sqs", target="AmazonSQS.ReceiveMessage"), False, False),
        (request("sqs", target="AmazonSQS.ChangeMessageVisibilityBatch"), True, False),
        (request("sqs", target="AmazonSQS.DeleteQueue"), True, True),
        (request("dynamodb", target="DynamoDB_20120810.PutItem"), True, False),
        (request("dynamodb", target="DynamoDB_20120810.UpdateTable"), True, True),
        (request("dynamodb", target="DynamoDB_20120810.UpdateTimeToLive"), True, True),
        (request("dynamodb", target="DynamoDB_20120810.Query"), False, False),
        (request("s3", "PUT", "/bucket/key"), True, False),
        (request("s3", "PUT", "/bucket"), True, True),
        (request("s3", "GET", "/bucket/key"), False, False),
        (request("lambda", "POST", "/2015-03-31/functions/f/invocations"), False, False),
        (
            request(
                "lambda",
                "POST",
                "/2015-03-31/functions/f/invocations",
                x_amz_invocation_type="Event",
            ),
            True,
            False,
        ),
        (request("lambda", "POST", "/2015-03-31/functions"), True, True),
        (request("logs", target="Logs_20140328.PutLogEvents"), True, False),
        (request("logs", target="Logs_20140328.FilterLogEvents"), False, False),
        (request("monitoring", target="GraniteServiceVersion20100801.PutMetricAlarm"), True, True),
        (request("tagging", target="ResourceGroupsTaggingAPI_20170126.TagResources"), True, True),
    ],
)
def test_a_request_is_known_by_its_head(made: Request, changes: bool, settings: bool) -> None:
    assert (made.changes(), made.changes_settings()) == (changes, settings)


def test_the_action_of_a_form_is_read_and_the_body_still_arrives() -> None:
    made = request("sns", content_type=FORM)
    pieces: list[dict[str, Any]] = [
        {"type": "http.request", "body": b"Action=CreateTopic&Name=t", "more_body": True},
        {"type": "http.request", "body": b"&Version=2010-03-31"},
    ]

    async def receive() -> dict[str, Any]:
        return pieces.pop(0)

    async def read() -> list[bytes]:
        again = await made.look_at_body(receive)
        return [(await again())["body"] for _ in range(2)]

    assert asyncio.run(read()) == [b"Action=CreateTopic&Name=t", b"&Version=2010-03-31"]
    assert (made.action, made.changes_settings()) == ("CreateTopic", True)


def test_a_confirmation_link_is_a_change_though_it_is_a_get() -> None:
    scope = {
        "method": "GET",
        "path": "/",
        "query_string": b"Action=ConfirmSubscription&Token=t",
        "headers": [],
    }
    made = Request(scope)

    assert (made.service, made.changes_settings()) == ("sns", True)
