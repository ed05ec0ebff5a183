"""A bucket that was there before: told to announce uploads, otherwise left as it is, and never deleted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from imgpipe.deploy import resources as r
from imgpipe.deploy.apply import apply
from imgpipe.deploy.observe import observe
from imgpipe.deploy.plan import Action, Verb, pending, plan, plan_down
from imgpipe.deploy.providers.site import Site
from imgpipe.errors import CloudError, MissingError
from imgpipe.operate.provision import _others
from imgpipe.runtime.settings import SETTINGS_VARIABLE, Settings
from tests.providers.samples import BUCKET, FUNCTION, LOGS, NOTIFICATION, ROLE, TOPIC

PHOTOS = r.ExistingBucket(name=BUCKET.name, origins=("http://127.0.0.1:*",))
DECLARED: dict[r.Key, r.Resource] = {one.key: one for one in (PHOTOS, TOPIC, NOTIFICATION)}
THEIRS = {
    "Id": "audit",
    "TopicArn": "arn:aws:sns:us-east-1:123456789012:audit",
    "Events": ["s3:ObjectRemoved:*"],
}
SETTINGS = (
    "bucket_versioning",
    "bucket_tagging",
    "bucket_lifecycle_configuration",
    "bucket_encryption",
    "public_access_block",
    "bucket_cors",
)


@pytest.fixture
def theirs(site: Site) -> Site:
    """A bucket with a photograph, tags, rules and a subscriber of its owner's."""
    s3 = site.client("s3")
    s3.create_bucket(Bucket=PHOTOS.name)
    site.client("sns").create_topic(Name="audit")
    s3.put_object(Bucket=PHOTOS.name, Key="holiday.jpg", Body=b"theirs")
    s3.put_bucket_tagging(
        Bucket=PHOTOS.name, Tagging={"TagSet": [{"Key": "owner", "Value": "them"}]}
    )
    rule = {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 900}}
    s3.put_bucket_lifecycle_configuration(
        Bucket=PHOTOS.name, LifecycleConfiguration={"Rules": [rule]}
    )
    s3.put_bucket_notification_configuration(
        Bucket=PHOTOS.name, NotificationConfiguration={"TopicConfigurations": [THEIRS]}
    )
    return site


def _settings(site: Site) -> dict[str, Any]:
    s3, told = site.client("s3"), {}
    for name in SETTINGS:
        try:
            answer = getattr(s3, f"get_{name}")(Bucket=PHOTOS.name)
            answer.pop("ResponseMetadata")
        except s3.exceptions.ClientError as error:
            answer = error.response["Error"]["Code"]
        told[name] = answer
    return told


def _ids(site: Site, bucket: str = PHOTOS.name) -> set[str]:
    there = site.client("s3").get_bucket_notification_configuration(Bucket=bucket)
    return {entry["Id"] for entry in there.get("TopicConfigurations", [])}


def _planned(site: Site) -> list[Action]:
    return plan(DECLARED, observe(site, DECLARED).resources)


def _carried_out(site: Site, actions: list[Action]) -> None:
    for event in apply(site, actions):
        assert event.state != "failed", event.text


def test_up_adds_our_entries_and_changes_nothing_else(theirs: Site) -> None:
    before = _settings(theirs)
    planned = _planned(theirs)
    assert {action.key.kind for action in pending(planned)} == {"topic", "notification"}
    _carried_out(theirs, planned)
    assert _ids(theirs) == {"audit", "imgpipe-shop-test-uploaded"}
    assert _settings(theirs) == before
    assert pending(_planned(theirs)) == []


def test_what_makes_uploads_less_safe_is_told_and_left(theirs: Site) -> None:
    [kept] = [action for action in _planned(theirs) if action.key == PHOTOS.key]
    assert kept.verb is Verb.KEEP
    for said in ("keeps no versions", "public access isn't blocked", "no page of http://127.0.0.1"):
        assert said in kept.warning


def test_a_safe_bucket_is_not_spoken_of(theirs: Site) -> None:
    s3, name = theirs.client("s3"), PHOTOS.name
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    blocks = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    s3.put_public_access_block(
        Bucket=name, PublicAccessBlockConfiguration=dict.fromkeys(blocks, True)
    )
    chosen = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [chosen]})
    rule = {"AllowedMethods": ["POST"], "AllowedOrigins": ["*"]}
    s3.put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRules": [rule]})
    assert not any(action.warning for action in _planned(theirs))


KEY_ID = "1234abcd-12ab-34cd-56ef-1234567890ab"
KMS_KEY = f"arn:aws:kms:us-east-1:123456789012:key/{KEY_ID}"


@pytest.mark.parametrize("key", [KMS_KEY, KEY_ID, "alias/photos"])
def test_a_key_that_the_functions_may_not_use_is_told_until_it_is_declared(
    theirs: Site, key: str
) -> None:
    chosen = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    theirs.client("s3").put_bucket_encryption(
        Bucket=PHOTOS.name,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": chosen}]
        },
    )
    [kept] = [action for action in _planned(theirs) if action.key == PHOTOS.key]
    assert f"encrypted with {key}, which the functions' roles may not use" in kept.warning
    declared = {**DECLARED, PHOTOS.key: replace(PHOTOS, kms_key=KMS_KEY)}
    [kept] = [
        it for it in plan(declared, observe(theirs, declared).resources) if it.key == PHOTOS.key
    ]
    assert "encrypted" not in kept.warning


def test_entries_that_another_program_took_away_are_drift(theirs: Site) -> None:
    _carried_out(theirs, _planned(theirs))
    theirs.client("s3").put_bucket_notification_configuration(
        Bucket=PHOTOS.name, NotificationConfiguration={"TopicConfigurations": [THEIRS]}
    )
    [lacking] = pending(_planned(theirs))
    assert lacking.key == NOTIFICATION.key
    _carried_out(theirs, [lacking])
    assert _ids(theirs) == {"audit", "imgpipe-shop-test-uploaded"}


def test_down_with_all_data_leaves_the_bucket_its_objects_and_its_other_entries(
    theirs: Site,
) -> None:
    _carried_out(theirs, _planned(theirs))
    erasing = replace(theirs, erase_data=True)
    there = observe(erasing, DECLARED).resources
    before = _settings(theirs)
    _carried_out(erasing, plan_down(there, _others(there)))
    assert _ids(theirs) == {"audit"}
    assert _settings(theirs) == before
    held = theirs.client("s3").get_object(Bucket=PHOTOS.name, Key="holiday.jpg")["Body"].read()
    assert held == b"theirs"


def test_one_that_is_not_there_is_not_made(site: Site) -> None:
    [first, *_] = plan(DECLARED, observe(site, DECLARED).resources)
    with pytest.raises(MissingError, match="and it isn't"):
        list(apply(site, [first]))
    assert site.client("s3").list_buckets()["Buckets"] == []


def test_another_regions_bucket_is_refused(site: Site) -> None:
    site.client("s3").create_bucket(
        Bucket=PHOTOS.name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    with pytest.raises(CloudError, match="S3 notifies within a Region only"):
        observe(site, DECLARED)


def test_our_entries_go_from_a_bucket_that_uploads_no_longer_come_to(theirs: Site) -> None:
    told = Settings(pipeline="shop", environment="test", uploads_bucket=PHOTOS.name).dumps()
    function = replace(FUNCTION, environment=((SETTINGS_VARIABLE, told),))
    old = DECLARED | {one.key: one for one in (LOGS, ROLE, function)}
    _carried_out(theirs, plan(old, observe(theirs, old).resources))
    assert _ids(theirs) == {"audit", "imgpipe-shop-test-uploaded"}
    new: dict[r.Key, r.Resource] = {
        one.key: one
        for one in (
            replace(BUCKET, name="shop-test-other"),
            *(TOPIC, LOGS, ROLE, function),
            replace(NOTIFICATION, bucket="shop-test-other"),
        )
    }
    planned = plan(new, observe(theirs, new).resources)
    assert [action.key.name for action in planned if action.verb is Verb.DELETE] == [PHOTOS.name]
    _carried_out(theirs, planned)
    assert _ids(theirs) == {"audit"}
    assert _ids(theirs, "shop-test-other") == {"imgpipe-shop-test-uploaded"}
