"""HTTP as the runtime client speaks it, in whatever pieces it arrives."""

from __future__ import annotations

import pytest

from imgpipe.local.lambda_runtime import wire

POST = b"POST /a/b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nX-Kind: k\r\n\r\nhello"
CHUNKED = (
    b"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\n\r\n"
)


@pytest.mark.parametrize("step", [1, 2, 7, 1000])
def test_a_request_is_the_same_however_it_is_cut(step: int) -> None:
    reader = wire.Reader()
    found = [
        request
        for start in range(0, len(POST), step)
        if (request := reader.feed(POST[start : start + step])[0])
    ]

    assert found == [
        wire.Request("POST", "/a/b", {"host": "x", "content-length": "5", "x-kind": "k"}, b"hello")
    ]


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_chunks_are_put_together(step: int) -> None:
    reader = wire.Reader()
    found = [
        request.body
        for start in range(0, len(CHUNKED), step)
        if (request := reader.feed(CHUNKED[start : start + step])[0])
    ]

    assert found == [b"hello world"]


def test_a_client_that_waits_to_be_told_is_told_once() -> None:
    reader = wire.Reader()
    head = b"POST /r HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"

    assert reader.feed(head) == (None, b"HTTP/1.1 100 Continue\r\n\r\n")
    assert reader.feed(b"ab") == (None, b"")
    request, at_once = reader.feed(b"cd")
    assert request is not None
    assert (request.body, at_once) == (b"abcd", b"")


def test_one_connection_carries_one_request_after_the_other() -> None:
    reader = wire.Reader()
    first, _ = reader.feed(POST)
    second, _ = reader.feed(b"GET /next HTTP/1.1\r\n\r\n")

    assert first is not None
    assert second == wire.Request("GET", "/next", {}, b"")


def test_an_answer_has_its_length_and_headers() -> None:
    assert wire.answer(200, b"{}", {"A": "b"}) == (
        b"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 2\r\n\r\n{}"
    )
