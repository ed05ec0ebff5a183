"""The seam to boto3: how long an endpoint that never answers is tried, and one that answered before."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError

from imgpipe.cloud import FIRST_CONNECTIONS, Cloud, Target, explain
from imgpipe.errors import CredentialsError, DeniedError, ThrottledError, UnreachableError

IDENTITY = b"""<GetCallerIdentityResponse><GetCallerIdentityResult><Account>123456789012</Account>
</GetCallerIdentityResult></GetCallerIdentityResponse>"""


def connected(endpoint: str) -> tuple[Cloud, list[int]]:
    """Return a cloud, and the numbers of its attempts as they are made."""
    cloud = Cloud(Target("test", None, "eu-west-1", endpoint, "key", "secret"))
    attempts: list[int] = []
    events = cloud.client("sts").meta.events
    events.register_first("needs-retry", lambda attempts_=attempts, **it: _note(attempts_, it))
    return cloud, attempts


def _note(attempts: list[int], it: dict[str, int]) -> None:
    attempts.append(it["attempts"])


class StillTryingError(Exception):
    """Saves the rest of the half minute."""


def _stop_when_still_trying(attempts: int, **_: object) -> None:
    if attempts > FIRST_CONNECTIONS:
        raise StillTryingError


def test_what_answers_but_is_no_aws_is_told() -> None:
    told = explain(ResponseParserError("no element found"), "environment prod")
    assert isinstance(told, UnreachableError)
    assert "not AWS" in told.why


class Throttling(BaseHTTPRequestHandler):
    """Answers to `Throttling` a few times, then well."""

    refusals = 3

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        kind = type(self)
        refuse, kind.refusals = kind.refusals > 0, kind.refusals - 1
        text = b"<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>"
        self.send_response(400 if refuse else 200)
        self.end_headers()
        self.wfile.write(text if refuse else IDENTITY)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def serving() -> Iterator[tuple[HTTPServer, str]]:
    server = HTTPServer(("127.0.0.1", 0), Throttling)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.fault("F-12")
def test_an_endpoint_that_never_answered_is_given_up_early() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    cloud, attempts = connected(f"http://127.0.0.1:{port}")
    with pytest.raises(EndpointConnectionError):
        _ = cloud.account
    assert attempts == list(range(1, FIRST_CONNECTIONS + 1))


@pytest.mark.fault("F-9")
def test_throttling_is_waited_out_all_the_same() -> None:
    with serving() as (_, endpoint):
        cloud, attempts = connected(endpoint)
        assert cloud.account == "123456789012"
    assert len(attempts) == 4


@pytest.mark.fault("F-10")
def test_a_service_that_throttles_for_good_is_given_up_and_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr(Throttling, "refusals", 1_000)
    with serving() as (_, endpoint):
        cloud, attempts = connected(endpoint)
        with pytest.raises(ClientError) as caught:
            _ = cloud.account
    assert len(attempts) < 20
    told = explain(caught.value, "environment prod")
    assert str(told).startswith("environment prod: ")
    assert isinstance(told, ThrottledError)


@pytest.mark.fault("F-14")
@pytest.mark.parametrize("code", ["AccessDenied", "AccessDeniedException", "AuthorizationError"])
def test_a_missing_permission_is_told_with_the_call_that_lacks_it(code: str) -> None:
    words = "User: arn:aws:iam::1:user/ann is not authorized to perform: sqs:PurgeQueue on arn:aws:sqs:q"
    refused = ClientError({"Error": {"Code": code, "Message": words}}, "PurgeQueue")
    told = explain(refused, "queue images")
    assert isinstance(told, DeniedError)
    assert "PurgeQueue" in told.why
    assert "arn:aws:sqs:q" in told.why
    assert told.hint == "grant sqs:PurgeQueue and run again"


@pytest.mark.fault("F-14")
@pytest.mark.parametrize(
    ("operation", "action"),
    [
        ("ListObjectsV2", "grant s3:ListBucket and run again"),
        ("HeadBucket", "grant s3:ListBucket and run again"),
        ("PurgeQueue", "grant the permission for PurgeQueue and run again"),
    ],
)
def test_a_refusal_without_words_is_told_with_the_action_that_is_asked_for(
    operation: str, action: str
) -> None:
    refused = ClientError({"Error": {"Code": "403", "Message": "Forbidden"}}, operation)
    assert explain(refused, "bucket uploads").hint == action


@pytest.mark.fault("F-15")
@pytest.mark.parametrize(
    "error",
    [
        NoCredentialsError(),
        TokenRetrievalError(provider="sso", error_msg="expired"),
        ClientError({"Error": {"Code": "ExpiredToken", "Message": "too old"}}, "ListQueues"),
        ClientError({"Error": {"Code": "ExpiredTokenException", "Message": "old"}}, "GetItem"),
        ClientError({"Error": {"Code": "InvalidClientTokenId", "Message": "who?"}}, "ListTopics"),
    ],
)
def test_missing_and_expired_credentials_are_told_as_such(error: Exception) -> None:
    told = explain(error, "environment prod")
    assert isinstance(told, CredentialsError)
    assert told.hint


SKEWED = (
    ("RequestTimeTooSkewed", "The difference between the request time and the current time is"),
    ("SignatureDoesNotMatch", "Signature expired: 20261122T003000Z is now earlier than 20261122T"),
    ("InvalidSignatureException", "Signature not yet current: 20261122T023000Z is still later"),
)


@pytest.mark.fault("F-16")
@pytest.mark.parametrize(("code", "message"), SKEWED)
def test_a_clock_that_is_wrong_is_told_as_such_and_not_as_an_expired_key(
    code: str, message: str
) -> None:
    refused = ClientError({"Error": {"Code": code, "Message": message}}, "ListQueues")
    assert "clock" in explain(refused, "environment prod").hint
    other = ClientError({"Error": {"Code": "ExpiredToken", "Message": "too old"}}, "ListQueues")
    assert "clock" not in explain(other, "environment prod").hint


def test_an_endpoint_that_answered_before_is_tried_longer() -> None:
    Throttling.refusals = 0
    with serving() as (_, endpoint):
        cloud, _ = connected(endpoint)
        assert cloud.account
    cloud.client("sts").meta.events.register_first("needs-retry", _stop_when_still_trying)
    with pytest.raises(StillTryingError):
        cloud.client("sts").get_caller_identity()
