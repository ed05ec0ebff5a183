"""AWS takes its time: what providers wait for, what they say meanwhile, and what they don't wait for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from imgpipe.deploy.providers import provider, read_one
from imgpipe.deploy.providers.site import Site
from imgpipe.errors import CloudError
from tests.providers.refusing import RefusingClients, refusal
from tests.providers.samples import (
    BUCKET,
    DLQ,
    FUNCTION,
    MAPPING,
    NOTIFICATION,
    QUEUE,
    TABLE,
    put_up,
)


@pytest.fixture
def refusing(site: Site) -> RefusingClients:
    return RefusingClients(site.clients)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def slow_site(site: Site, refusing: RefusingClients, said: list[str]) -> Site:
    return replace(site, clients=refusing, say=said.append)


def test_a_role_that_lambda_may_not_assume_yet_is_waited_for(
    slow_site: Site, refusing: RefusingClients, pauses: list[float], said: list[str]
) -> None:
    text = "The role defined for the function cannot be assumed by Lambda."
    refusing.refuse(
        "lambda",
        "create_function",
        *[refusal("CreateFunction", "InvalidParameterValueException", text) for _ in range(3)],
    )
    put_up(slow_site, FUNCTION)

    assert read_one(slow_site, FUNCTION) == FUNCTION
    assert len(pauses) >= 3
    assert said == ["waiting until Lambda may use it"]


def test_a_refusal_for_another_reason_is_not_waited_for(
    slow_site: Site, refusing: RefusingClients, pauses: list[float]
) -> None:
    refused = refusal("CreateFunction", "InvalidParameterValueException", "Unknown runtime")
    refusing.refuse("lambda", "create_function", refused)
    with pytest.raises(type(refused), match="Unknown runtime"):
        put_up(slow_site, FUNCTION)
    assert pauses == []


def test_a_queue_name_that_was_just_deleted_is_waited_for_and_told(
    slow_site: Site, refusing: RefusingClients, said: list[str]
) -> None:
    refused = refusal("CreateQueue", "AWS.SimpleQueueService.QueueDeletedRecently", "wait 60 s")
    refusing.refuse("sqs", "create_queue", refused, refused)
    put_up(slow_site, DLQ)

    assert read_one(slow_site, DLQ) == DLQ
    assert said == ["SQS keeps a deleted name for 60 s: waiting"]


def test_patience_ends(slow_site: Site, refusing: RefusingClients, pauses: list[float]) -> None:
    refused = refusal("CreateQueue", "QueueDeletedRecently", "wait 60 s")
    refusing.refuse("sqs", "create_queue", *[refused] * 1000)
    with pytest.raises(type(refused)):
        put_up(slow_site, DLQ)
    assert 60 < sum(pauses) < 200


def test_s3_is_asked_again_while_it_has_not_heard_of_the_topics_policy(
    slow_site: Site, refusing: RefusingClients
) -> None:
    text = "Unable to validate the following destination configurations"
    refused = refusal("PutBucketNotificationConfiguration", "InvalidArgument", text)
    refusing.refuse("s3", "put_bucket_notification_configuration", refused, refused)
    put_up(slow_site, NOTIFICATION)

    assert read_one(slow_site, NOTIFICATION) == NOTIFICATION


def test_recovery_that_is_not_available_yet_is_waited_for(
    slow_site: Site, refusing: RefusingClients
) -> None:
    refused = refusal(
        "UpdateContinuousBackups",
        "ContinuousBackupsUnavailableException",
        "Backups are being enabled",
    )
    refusing.refuse("dynamodb", "update_continuous_backups", refused)
    put_up(slow_site, TABLE)
    assert read_one(slow_site, TABLE) == TABLE


def test_a_ttl_that_is_set_is_not_set_again(slow_site: Site, refusing: RefusingClients) -> None:
    put_up(slow_site, TABLE)
    refusing.refuse(
        "dynamodb",
        "update_time_to_live",
        refusal("UpdateTimeToLive", "ValidationException", "TimeToLive is already enabled"),
    )
    provider(slow_site, "table").update(replace(TABLE, recovery=False), TABLE)


def test_a_mapping_that_is_still_changing_is_waited_for(
    slow_site: Site, refusing: RefusingClients
) -> None:
    put_up(slow_site, MAPPING)
    busy = refusal("DeleteEventSourceMapping", "ResourceInUseException", "it is Updating")
    refusing.refuse("lambda", "delete_event_source_mapping", busy, busy)
    provider(slow_site, "mapping").delete(MAPPING)
    assert read_one(slow_site, MAPPING) is None


def test_a_bucket_name_of_somebody_else_is_told_with_what_to_do(
    slow_site: Site, refusing: RefusingClients
) -> None:
    taken = refusal("CreateBucket", "BucketAlreadyExists", "not available")
    refusing.refuse("s3", "create_bucket", taken)
    with pytest.raises(CloudError, match="belongs to another AWS account") as caught:
        put_up(slow_site, BUCKET)
    assert "name:" in caught.value.hint


def test_a_bucket_that_holds_something_stays_unless_data_may_be_erased(site: Site) -> None:
    put_up(site, BUCKET)
    s3 = site.client("s3")
    s3.put_object(Bucket=BUCKET.name, Key="incoming/a.jpg", Body=b"a")
    s3.put_object(Bucket=BUCKET.name, Key="incoming/a.jpg", Body=b"b")
    s3.delete_object(Bucket=BUCKET.name, Key="incoming/a.jpg")
    with pytest.raises(CloudError, match="it holds objects"):
        provider(site, "bucket").delete(BUCKET)
    assert read_one(site, BUCKET) == BUCKET

    s3.create_multipart_upload(Bucket=BUCKET.name, Key="incoming/b.jpg")
    provider(replace(site, erase_data=True), "bucket").delete(BUCKET)
    assert read_one(site, BUCKET) is None


def test_a_bucket_with_only_our_own_notes_counts_as_empty(site: Site) -> None:
    put_up(site, BUCKET)
    site.client("s3").put_object(Bucket=BUCKET.name, Key="ops/lease.json", Body=b"{}")
    provider(site, "bucket").delete(BUCKET)
    assert read_one(site, BUCKET) is None


@pytest.mark.parametrize("key", ["ops/rescued/a.json", "ops/erase/a.json"])
def test_archived_letters_and_receipts_are_data(site: Site, key: str) -> None:
    put_up(site, BUCKET)
    site.client("s3").put_object(Bucket=BUCKET.name, Key=key, Body=b"{}")
    with pytest.raises(CloudError, match="it holds objects"):
        provider(site, "bucket").delete(BUCKET)
    provider(replace(site, erase_data=True), "bucket").delete(BUCKET)
    assert read_one(site, BUCKET) is None


def test_tags_and_lifecycle_rules_of_others_stay_on_a_bucket(site: Site) -> None:
    put_up(site, BUCKET)
    s3 = site.client("s3")
    s3.put_bucket_tagging(
        Bucket=BUCKET.name, Tagging={"TagSet": [{"Key": "cost-centre", "Value": "7"}]}
    )
    rules = s3.get_bucket_lifecycle_configuration(Bucket=BUCKET.name)["Rules"]
    theirs = {
        "ID": "theirs",
        "Status": "Enabled",
        "Filter": {"Prefix": "old/"},
        "Expiration": {"Days": 9},
    }
    s3.put_bucket_lifecycle_configuration(
        Bucket=BUCKET.name, LifecycleConfiguration={"Rules": [*rules, theirs]}
    )
    provider(site, "bucket").update(BUCKET, BUCKET)

    tags = {tag["Key"] for tag in s3.get_bucket_tagging(Bucket=BUCKET.name)["TagSet"]}
    kept = s3.get_bucket_lifecycle_configuration(Bucket=BUCKET.name)["Rules"]
    assert tags == {"cost-centre", "imgpipe:pipeline", "imgpipe:env"}
    assert "theirs" in {rule["ID"] for rule in kept}


def test_a_bucket_that_was_opened_is_seen_and_closed_again(site: Site) -> None:
    put_up(site, BUCKET)
    site.client("s3").delete_public_access_block(Bucket=BUCKET.name)
    opened = read_one(site, BUCKET)
    assert opened == replace(BUCKET, private=False)
    provider(site, "bucket").update(BUCKET, opened)
    assert read_one(site, BUCKET) == BUCKET


def test_table_keys_cannot_be_changed_and_the_message_says_so(site: Site) -> None:
    put_up(site, TABLE)
    with pytest.raises(CloudError, match="its keys can't be changed"):
        provider(site, "table").update(replace(TABLE, hash_key="id"), TABLE)


def test_code_that_is_there_already_is_not_sent_again(
    slow_site: Site, refusing: RefusingClients
) -> None:
    """Killed between code and configuration, `up` finds the old hash and the new code."""
    put_up(slow_site, FUNCTION)
    refused = refusal("UpdateFunctionCode", "TooLarge", "must not be called")
    refusing.refuse("lambda", "update_function_code", refused)
    changed = replace(FUNCTION, code_hash="two")
    provider(slow_site, "function").update(changed, FUNCTION)
    assert read_one(slow_site, changed) == changed


def test_a_queue_that_exists_with_other_attributes_is_adopted(
    slow_site: Site, refusing: RefusingClients
) -> None:
    put_up(slow_site, DLQ)
    put_up(slow_site, replace(QUEUE, visibility_s=30))
    refused = refusal("CreateQueue", "QueueAlreadyExists", "different value for VisibilityTimeout")
    refusing.refuse("sqs", "create_queue", refused)
    provider(slow_site, "queue").create(QUEUE)
    assert read_one(slow_site, QUEUE) == QUEUE
