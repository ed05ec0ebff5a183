"""Captured events read out: every envelope named, every key as people write it; and which keys a rule is for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from imgpipe.errors import UsageError
from imgpipe.operate.bus import BusRule, passes
from imgpipe.operate.events import Heard, Live, decode, key_of
from tests.studio import studio

THING = {"key": "a+b%2Bc.jpg", "size": 3, "sequencer": "0055"}
S3 = {
    "Records": [
        {
            "eventSource": "aws:s3",
            "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": "b"}, "object": THING},
        }
    ]
}
SNS = {"Type": "Notification", "TopicArn": "arn:aws:sns:x", "Message": json.dumps(S3)}
BRIDGE = {
    "source": "aws.s3",
    "detail-type": "Object Created",
    "detail": {"bucket": {"name": "b"}, "object": {"key": "a b+c.jpg", "size": 3}},
}
CAPTURED = [
    (S3, ["S3"]),
    (SNS, ["SNS", "S3"]),
    ({"Records": [{"Sns": {"Message": json.dumps(S3)}}]}, ["SNS", "S3"]),
    ({"Records": [{"eventSource": "aws:sqs", "body": json.dumps(S3)}]}, ["SQS", "S3"]),
    ({"Records": [{"eventSource": "aws:sqs", "body": json.dumps(SNS)}]}, ["SQS", "SNS", "S3"]),
    ({"Messages": [{"Body": json.dumps(SNS)}]}, ["SQS", "SNS", "S3"]),
    ({"Messages": [{"Body": json.dumps(BRIDGE)}]}, ["SQS", "EventBridge"]),
    (BRIDGE, ["EventBridge"]),
    ({"requestPayload": S3, "responseContext": {}}, ["Lambda, a failed invocation", "S3"]),
]


@pytest.mark.capability("S2-10")
@pytest.mark.parametrize(("document", "envelopes"), CAPTURED)
def test_every_envelope_is_named_and_the_change_in_it_read(
    document: dict[str, Any], envelopes: list[str]
) -> None:
    [told] = decode(json.dumps(document))
    [change] = told.changes
    assert list(told.envelopes) == envelopes
    assert (change.bucket, change.key, change.size, change.kind) == ("b", "a b+c.jpg", 3, "created")


def test_s3s_test_event_tells_of_nothing() -> None:
    [told] = decode(json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}))
    assert told.envelopes == ("S3's test event",)
    assert told.changes == ()


def test_several_messages_are_read_one_by_one() -> None:
    both = decode(json.dumps({"Messages": [{"Body": json.dumps(S3)}, {"Body": json.dumps(SNS)}]}))
    assert [told.envelopes for told in both] == [("SQS", "S3"), ("SQS", "SNS", "S3")]


@pytest.mark.parametrize(
    "text", ["", "[1]", "{}", '{"Message": "no json"}', '{"Messages": [{"Body": "x"}]}', "[" * 9000]
)
def test_what_is_no_event_is_told_and_no_traceback(text: str) -> None:
    with pytest.raises(UsageError):
        decode(text)


@pytest.mark.parametrize(
    ("prefix", "suffix", "key", "heard"),
    [
        ("", "", "anything", True),
        ("in/", ".jpg", "in/a.jpg", True),
        ("in/", ".jpg", "in/a.JPG", False),
        ("in/", "", "out/a.jpg", False),
        ("my+photos/", "", "my photos/a.jpg", True),
        ("100%25/", "", "100%/a.jpg", True),
    ],
)
def test_a_rule_is_for_the_keys_that_its_filter_means(
    prefix: str, suffix: str, key: str, heard: bool
) -> None:
    rule = Heard("id", ("s3:ObjectCreated:*",), prefix, suffix, "topic t", ours=True)
    assert rule.hears(key) is heard


def rule(prefix: str, *, ours: bool = True) -> Heard:
    return Heard("id", ("s3:ObjectCreated:*",), prefix, "", "queue q", ours=ours)


@pytest.mark.parametrize(
    ("prefixes", "key", "meant"),
    [
        (["incoming/"], "photo.jpg", "incoming/photo.jpg"),
        (["incoming/"], "incoming/photo.jpg", "incoming/photo.jpg"),
        (["incoming/", "other/"], "other/x.jpg", "other/x.jpg"),
        (["other/"], "other/x.jpg", "other/x.jpg"),
        (["incoming/", ""], "photo.jpg", "incoming/photo.jpg"),
        ([], "photo.jpg", "incoming/photo.jpg"),
    ],
)
def test_a_key_means_itself_where_a_rule_is_for_its_place(
    prefixes: list[str], key: str, meant: str
) -> None:
    found = Live("b", tuple(map(rule, prefixes)), None)
    assert key_of(studio(), key, found) == meant


def test_rules_of_the_bus_hear_what_their_patterns_let_through() -> None:
    ours = BusRule("ours", ("Object Created",), ({"prefix": "incoming/"},), ("queue q",), ours=True)
    theirs = BusRule("theirs", (), ({"wildcard": "other/*.jpg"},), ("queue t",), ours=False)
    found = Live("b", (), (ours, theirs))
    assert key_of(studio(), "other/x.jpg", found) == "other/x.jpg"
    assert found.of("other/x.jpg").eventbridge == (theirs,)
    assert found.of("incoming/x.jpg").eventbridge == (ours,)
    assert found.of("nowhere/x.jpg").silent


@pytest.mark.parametrize(
    ("test", "heard"),
    [
        ("a/b.jpg", True),
        ({"prefix": "a/"}, True),
        ({"suffix": ".png"}, False),
        ({"wildcard": "a/*.jpg"}, True),
        ({"wildcard": "a/*.j"}, False),
        ({"equals-ignore-case": "A/B.JPG"}, True),
        ({"cidr": "10.0.0.0/8"}, True),
    ],
)
def test_the_tests_of_a_pattern(test: str | dict[str, Any], heard: bool) -> None:
    assert passes("a/b.jpg", [test]) is heard
