"""A plan says why, in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from imgpipe.deploy import resources as r
from imgpipe.deploy.plan import Verb, differences, pending, plan, plan_down
from tests.providers.samples import (
    ALARM,
    BUCKET,
    DASHBOARD,
    FUNCTION,
    NOTIFICATION,
    QUEUE,
    ROLE,
    TABLE,
    TOPIC,
)


@pytest.mark.parametrize(
    ("there", "wanted", "words"),
    [
        (replace(QUEUE, visibility_s=30), QUEUE, ["visibility_s 30 -> 360"]),
        (replace(QUEUE, dlq=None), QUEUE, ["dlq none -> shop-test-work-dlq"]),
        (replace(FUNCTION, code_hash="zero"), FUNCTION, ["code changed"]),
        (
            replace(FUNCTION, environment=(("IMGPIPE_SETTINGS", "{}"), ("STRAY", "1"))),
            FUNCTION,
            ["environment changed: STRAY"],
        ),
        (replace(FUNCTION, source="tidy"), FUNCTION, []),
        (replace(ROLE, policy=""), ROLE, ["policy missing"]),
        (replace(DASHBOARD, body='{"widgets":[]}'), DASHBOARD, ["body changed"]),
        (replace(TOPIC, display_name="a" * 200), TOPIC, ["display_name changed"]),
        (replace(TOPIC, policy="{}"), TOPIC, ["policy changed"]),
        (
            replace(TABLE, recovery=False, indexes=()),
            TABLE,
            ["indexes none -> by-status", "recovery off -> on"],
        ),
        (
            replace(NOTIFICATION, rules=()),
            NOTIFICATION,
            ["rules changed: imgpipe-shop-test-uploaded"],
        ),
        (replace(ALARM, threshold=3.0), ALARM, ["threshold 3.0 -> 1.0"]),
        (replace(BUCKET, private=False), BUCKET, ["private off -> on"]),
    ],
)
def test_differences_are_told_in_words(
    there: r.Resource, wanted: r.Resource, words: list[str]
) -> None:
    assert differences(there, wanted) == words


def test_what_is_right_is_kept_and_not_pending() -> None:
    [action] = plan({QUEUE.key: QUEUE}, {QUEUE.key: QUEUE})
    assert action.verb is Verb.KEEP
    assert pending([action]) == []


def test_a_bucket_that_is_no_longer_declared_is_kept_with_its_reason() -> None:
    [action] = plan({}, {BUCKET.key: BUCKET})
    assert (action.verb, action.reason) == (
        Verb.KEEP,
        "no longer declared, but it holds data: kept",
    )


def test_what_is_no_longer_declared_goes_after_everything_new_stands() -> None:
    actions = plan({QUEUE.key: replace(QUEUE, dlq=None)}, {TOPIC.key: TOPIC})
    assert [(action.verb, action.key) for action in actions] == [
        (Verb.CREATE, QUEUE.key),
        (Verb.DELETE, TOPIC.key),
    ]
    assert actions[1].after == {QUEUE.key}


def test_what_is_kept_when_all_is_taken_down_says_why() -> None:
    actions = plan_down({TABLE.key: TABLE, QUEUE.key: QUEUE}, {TABLE.key: "it holds the rows"})
    assert [(action.verb, action.reason) for action in actions] == [
        (Verb.KEEP, "it holds the rows"),
        (Verb.DELETE, "taken down"),
    ]
