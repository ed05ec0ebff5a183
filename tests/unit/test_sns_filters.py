"""Filter policies on a message's body, as AWS reads them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ministack.services import sns

from imgpipe.local.corrections import sns_filters

UPLOAD = {
    "Records": [
        {"eventName": "ObjectCreated:Put", "s3": {"object": {"key": "in/a.jpg", "size": 10}}}
    ]
}
TWO = {"Records": [*UPLOAD["Records"], {"s3": {"object": {"key": "out/b.png"}}}]}
TEST_EVENT = {"Service": "Amazon S3", "Event": "s3:TestEvent"}


def key(rule: Any) -> dict[str, Any]:
    return {"Records": {"s3": {"object": {"key": [rule]}}}}


@pytest.mark.parametrize(
    ("policy", "body", "matches"),
    [
        (key({"prefix": "in/"}), UPLOAD, True),
        (key({"prefix": "out/"}), UPLOAD, False),
        (key({"prefix": "out/"}), TWO, True),
        (key({"suffix": ".png"}), TWO, True),
        (key({"prefix": "in/"}), TEST_EVENT, False),
        ({**key({"prefix": "in/"}), "other": ["x"]}, UPLOAD, False),
        (
            {
                "Records": {
                    "s3": {"object": {"key": [{"prefix": "in/"}]}},
                    "eventName": [{"prefix": "ObjectCreated:"}],
                }
            },
            UPLOAD,
            True,
        ),
        ({"Records": {"s3": {"object": {"size": [{"numeric": [">=", 10]}]}}}}, UPLOAD, True),
        ({"Records": {"s3": {"object": {"etag": [{"exists": False}]}}}}, UPLOAD, True),
        ({"tags": ["b"]}, {"tags": ["a", "b"]}, True),
        ({"a": {"b": ["x"]}}, {"a": [[{"b": "y"}]]}, False),
    ],
)
def test_a_policy_descends_into_arrays(policy: Any, body: Any, matches: bool) -> None:
    assert sns._policy_matches(policy, sns_filters.lookup([body]), nested=True) is matches


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "failed to parse"),
        ("[]", "must be an object"),
        ('{"a": "b"}', "must be an object or an array"),
        ('{"a": {"b": 1}}', "must be an object or an array"),
        (json.dumps({name: ["x"] for name in "abcdef"}), "more than 5 keys"),
    ],
)
def test_a_malformed_policy_is_refused(text: str, problem: str) -> None:
    assert problem in (sns_filters.policy_problem(text) or "")


def test_a_good_policy_has_no_problem() -> None:
    assert sns_filters.policy_problem(json.dumps(key({"prefix": "in/"}))) is None
