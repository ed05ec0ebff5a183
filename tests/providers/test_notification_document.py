"""The bucket's notification document belongs to many: ours are replaced, everyone else's stay."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imgpipe.deploy import resources as r
from imgpipe.deploy.providers import provider, read_one
from imgpipe.deploy.providers.s3_notification import foreign, merged, ours
from imgpipe.deploy.providers.site import Site
from imgpipe.errors import CloudError
from tests.providers.refusing import RefusingClients
from tests.providers.samples import BUCKET, NOTIFICATION, QUEUE, TOPIC, put_up

THEIRS = {
    "Id": "audit",
    "QueueArn": "arn:aws:sqs:us-east-1:123456789012:shop-test-work",
    "Events": ["s3:ObjectRemoved:*"],
}


def _arn(key: r.Key) -> str:
    service = {"topic": "sns", "queue": "sqs", "function": "lambda"}[key.kind]
    middle = "function:" if service == "lambda" else ""
    return f"arn:aws:{service}:us-east-1:123456789012:{middle}{key.name}"


names = st.text("abcdef-", min_size=1, max_size=8)
targets = st.builds(r.Key, st.sampled_from(["topic", "queue", "function"]), names)
rules = st.builds(
    r.Rule,
    id=names.map("imgpipe-shop-test-{}".format),
    events=st.sampled_from(
        [("s3:ObjectCreated:*",), ("s3:LifecycleExpiration:*", "s3:ObjectRemoved:*")]
    ),
    target=targets,
    prefix=st.sampled_from(["", "incoming/"]),
    suffix=st.sampled_from(["", ".jpg"]),
)
notifications = st.lists(rules, unique_by=lambda rule: rule.id).map(
    lambda made: replace(NOTIFICATION, rules=tuple(sorted(made, key=lambda rule: rule.id)))
)
entries = st.builds(
    lambda name, arn, field: {"Id": name, field: arn, "Events": ["s3:ObjectCreated:*"]},
    names,
    st.just("arn:aws:sqs:us-east-1:123456789012:x"),
    st.just("QueueArn"),
)
documents = st.fixed_dictionaries(
    {},
    optional={
        "QueueConfigurations": st.lists(entries, min_size=1),
        "EventBridgeConfiguration": st.just({}),
    },
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(document=documents, first=notifications, second=notifications)
def test_merging_any_rules_twice_leaves_the_last_and_every_foreign_entry(
    document: dict[str, Any], first: r.Notification, second: r.Notification
) -> None:
    result = merged(merged(document, first, _arn), second, _arn)
    assert ours(result, second) == second.rules
    assert foreign(result, second) == document


def test_names_and_events_are_compared_whatever_their_spelling_and_order() -> None:
    wanted = replace(
        NOTIFICATION,
        rules=(
            replace(
                NOTIFICATION.rules[0], events=("s3:ObjectRemoved:*", "s3:LifecycleExpiration:*")
            ),
        ),
    )
    document = merged({}, wanted, _arn)
    entry = document["TopicConfigurations"][0]
    entry["Events"].reverse()
    for test in entry["Filter"]["Key"]["FilterRules"]:
        test["Name"] = test["Name"].title()
    assert ours(document, wanted) == wanted.rules


@pytest.fixture
def shared(site: Site) -> Site:
    """A bucket that tells somebody else already."""
    for one in (BUCKET, TOPIC, QUEUE):
        put_up(site, one)
    site.client("s3").put_bucket_notification_configuration(
        Bucket=BUCKET.name, NotificationConfiguration={"QueueConfigurations": [THEIRS]}
    )
    return site


def _queues(site: Site) -> list[str]:
    there = site.client("s3").get_bucket_notification_configuration(Bucket=BUCKET.name)
    return [entry["Id"] for entry in there.get("QueueConfigurations", [])]


def test_other_peoples_entries_survive_creation_update_and_deletion(shared: Site) -> None:
    maker = provider(shared, "notification")
    maker.create(NOTIFICATION)
    changed = replace(NOTIFICATION, rules=(replace(NOTIFICATION.rules[0], suffix=".png"),))
    maker.update(changed, NOTIFICATION)
    assert read_one(shared, changed) == changed
    assert _queues(shared) == ["audit"]

    maker.delete(changed)
    assert read_one(shared, changed) is None
    assert _queues(shared) == ["audit"]


@pytest.mark.fault("F-43")
def test_a_second_writer_that_undoes_our_entries_once_is_answered(shared: Site) -> None:
    """FAULTS 43: there is no compare-and-set, so what was written is read back."""
    s3, undone = shared.client("s3"), list[int]()

    def undo_once() -> None:
        if not undone:
            undone.append(1)
            s3.put_bucket_notification_configuration(
                Bucket=BUCKET.name, NotificationConfiguration={"QueueConfigurations": [THEIRS]}
            )

    clients = RefusingClients(shared.clients)
    clients.then("s3", "put_bucket_notification_configuration", undo_once)
    provider(replace(shared, clients=clients), "notification").create(NOTIFICATION)

    assert undone
    assert read_one(shared, NOTIFICATION) == NOTIFICATION
    assert _queues(shared) == ["audit"]


@pytest.mark.fault("F-43")
def test_a_writer_that_never_gives_way_is_named_as_the_trouble(shared: Site) -> None:
    s3 = shared.client("s3")
    clients = RefusingClients(shared.clients)
    clients.then(
        "s3",
        "put_bucket_notification_configuration",
        lambda: s3.put_bucket_notification_configuration(
            Bucket=BUCKET.name, NotificationConfiguration={}
        ),
    )
    with pytest.raises(CloudError, match="another program keeps replacing them"):
        provider(replace(shared, clients=clients), "notification").create(NOTIFICATION)


def test_what_a_stack_wrote_under_ids_of_its_own_is_ours_when_it_says_the_same(site: Site) -> None:
    """CloudFormation chooses the ids, and writes an entry an event."""
    rule = replace(NOTIFICATION.rules[0], events=("s3:LifecycleExpiration:*", "s3:ObjectRemoved:*"))
    wanted = replace(NOTIFICATION, rules=(rule,))
    put_up(site, BUCKET)
    put_up(site, TOPIC)
    tests = [{"Name": "prefix", "Value": rule.prefix}]
    said = [
        {
            "Id": f"by-a-stack-{number}",
            "TopicArn": _arn(TOPIC.key),
            "Events": [event],
            "Filter": {"Key": {"FilterRules": tests}},
        }
        for number, event in enumerate(rule.events)
    ]
    s3 = site.client("s3")
    s3.put_bucket_notification_configuration(
        Bucket=BUCKET.name, NotificationConfiguration={"TopicConfigurations": said}
    )
    assert read_one(site, wanted) == wanted
    provider(site, "notification").delete(wanted)
    left = s3.get_bucket_notification_configuration(Bucket=BUCKET.name)
    assert "TopicConfigurations" not in left
    s3.put_bucket_notification_configuration(
        Bucket=BUCKET.name, NotificationConfiguration={"TopicConfigurations": said[:1]}
    )
    assert read_one(site, wanted) is None
