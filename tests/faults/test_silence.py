"""Something that takes connections and never answers: every call to it ends, by the limits of the client itself."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from imgpipe import cloud
from imgpipe.cloud import Cloud, Target, explain
from imgpipe.errors import UnreachableError
from imgpipe.runtime import store
from imgpipe.runtime.errors import Transient
from imgpipe.runtime.store import AwsStore, Outgoing

PATIENCE_S = 60
"""How long this test waits for a call to end: far more than all its attempts take with the limit of a test."""
HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nLast-Modified: Sat, 31 Jan 2026 12:00:00 GMT\r\n\r\nhalf"
SERVICES = ("s3", "sqs", "sns", "dynamodb", "rekognition")
ASKED = (*SERVICES, "sts", "iam", "lambda", "logs", "cloudwatch", "events")


@contextmanager
def silent(says: bytes = b"") -> Iterator[str]:
    """Listen, say this much to whoever comes, and nothing more."""
    held: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            held.append(connection)
            if says:
                connection.recv(65536)
                connection.sendall(says)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
        accepting.join(PATIENCE_S)
        for connection in held:
            connection.close()


def end_of(call: Callable[[], Any]) -> BaseException:
    """Return what a call raised. A call that hangs for good fails the test, and doesn't hang it."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test looks at it
            raised.append(error)

    running = threading.Thread(target=run, daemon=True)
    running.start()
    running.join(PATIENCE_S)
    assert not running.is_alive(), "it hangs"
    assert raised, "it came to an end as if there had been an answer"
    return raised[0]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits, and pauses between attempts, that a test can wait for."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)


CALLS: dict[str, Callable[[AwsStore], Any]] = {
    "open": lambda it: it.open("b", "k"),
    "put": lambda it: it.put("b", "k", b"data", "image/jpeg"),
    "delete": lambda it: it.delete("b", ["k"]),
    "send": lambda it: it.send("http://q/1/q", [Outgoing("{}")]),
    "hide": lambda it: it.hide("http://q/1/q", {"receipt": 5}),
    "publish": lambda it: it.publish("arn:aws:sns:eu-west-1:1:t", "{}", {}),
    "get_item": lambda it: it.get_item("t", "a", "b"),
    "put_item": lambda it: it.put_item("t", {"pk": {"S": "a"}}, rev=None),
    "labels": lambda it: it.labels(b"picture"),
}


@pytest.mark.fault("F-12")
@pytest.mark.parametrize("call", CALLS)
def test_a_functions_call_that_is_never_answered_ends(
    monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setattr(store, "READ_S", 0.1)
    with silent() as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        assert isinstance(end_of(lambda: CALLS[call](AwsStore())), ReadTimeoutError)


@pytest.mark.fault("F-12", "F-13")
def test_an_object_whose_rest_never_comes_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "READ_S", 0.1)
    with silent(HALF) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        opened = AwsStore().open("b", "k")
        assert opened
        told = end_of(opened.read)
        opened.close()
    assert isinstance(told, Transient)
    assert "broke off" in str(told)


@pytest.mark.fault("F-12")
@pytest.mark.parametrize("service", ["sts", "s3"])
def test_a_commands_call_that_is_never_answered_ends_and_says_so(
    monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    monkeypatch.setattr(cloud, "READ_S", 0.1)
    with silent() as endpoint:
        made = Cloud(Target("test", None, "eu-west-1", endpoint, "key", "secret"))
        asked = made.client(service)
        ask = asked.list_buckets if service == "s3" else asked.get_caller_identity
        told = explain(end_of(ask), "environment test")
    assert isinstance(told, UnreachableError)
    assert "no answer" in told.why


@pytest.mark.fault("F-12")
def test_every_client_has_its_limits() -> None:
    """Not longer than Lambda may invoke a function for one, and enough to be answered by a long poll."""
    command = Cloud(Target("test", None, "eu-west-1", "http://127.0.0.1:9", "key", "secret"))
    function = AwsStore()
    of_commands = [command.client(name) for name in ASKED]
    of_functions = [*(function.client(name) for name in SERVICES), function._signer()]
    assert _limits(of_commands) == {(3, 70)}
    assert _limits(of_functions) == {(3, 20)}


def _limits(clients: list[Any]) -> set[tuple[float, float]]:
    return {(one.meta.config.connect_timeout, one.meta.config.read_timeout) for one in clients}
