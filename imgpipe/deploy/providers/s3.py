"""Buckets: private, encrypted, tagged; and taken down only when empty, unless told to erase.

Every setting is written in one fixed order with the policy last. So a bucket whose policy is right has all its
settings, and `up` killed half-way shows as a missing policy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import unquote_plus

from botocore.exceptions import ClientError

from imgpipe.cloud import error_code
from imgpipe.deploy.names import OPERATIONS
from imgpipe.deploy.providers import s3_existing
from imgpipe.deploy.providers.documents import settled
from imgpipe.deploy.providers.site import Site, found, gone
from imgpipe.deploy.resources import Bucket, ExistingBucket, Key
from imgpipe.errors import CloudError

ABORT_RULE, NONCURRENT_RULE = "imgpipe-abort-multipart", "imgpipe-noncurrent"
CORS_RULE = "imgpipe-uploads"
CORS_AGE_S = 3000
NOTES = f"{OPERATIONS}/"
KEPT_NOTES = (f"{OPERATIONS}/rescued/", f"{OPERATIONS}/erase/")
"""What somebody may still need: dead letters that were archived, receipts of what was erased."""
DELETE_BATCH = 1000
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ufffe\uffff]")
"""What the XML of DeleteObjects can't hold, or loses."""
ATTEMPTS = 5
_ALL_BLOCKED = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
_OWNER = {"ObjectOwnership": "BucketOwnerEnforced"}
_ENCRYPTION = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}


class Buckets:
    def __init__(self, site: Site) -> None:
        self._site, self._s3 = site, site.client("s3")

    def read(
        self, anchor: str, declared: Mapping[Key, Bucket | ExistingBucket]
    ) -> Iterable[Bucket | ExistingBucket]:
        wanted = declared.get(Key("bucket", anchor))
        if isinstance(wanted, ExistingBucket):
            return s3_existing.read(self._site, wanted)
        return self._read(anchor, wanted)

    def _read(self, anchor: str, wanted: Bucket | None) -> Iterator[Bucket]:
        versioning = found(lambda: self._s3.get_bucket_versioning(Bucket=anchor))
        if versioning is None:
            return
        policy = found(lambda: self._s3.get_bucket_policy(Bucket=anchor)) or {}
        rules = {rule.get("ID"): rule for rule in self._lifecycle(anchor)}
        yield Bucket(
            name=anchor,
            versioning=versioning.get("Status") == "Enabled",
            policy=settled(policy.get("Policy"), wanted.policy if wanted else ""),
            abort_multipart_days=_days(
                rules, ABORT_RULE, "AbortIncompleteMultipartUpload", "DaysAfterInitiation"
            )
            or 0,
            noncurrent_days=_days(
                rules, NONCURRENT_RULE, "NoncurrentVersionExpiration", "NoncurrentDays"
            ),
            private=self._is_private(anchor),
            origins=self._origins(anchor),
        )

    def create(self, wanted: Bucket | ExistingBucket) -> None:
        if isinstance(wanted, ExistingBucket):
            raise s3_existing.missing(wanted.name)
        region = self._site.place.region
        where = {} if region == "us-east-1" else {"LocationConstraint": region}
        try:
            self._patiently(
                lambda: self._s3.create_bucket(
                    Bucket=wanted.name,
                    ObjectOwnership="BucketOwnerEnforced",
                    CreateBucketConfiguration={**where, "Tags": self._site.tag_list},
                )
            )
        except ClientError as error:
            self._adopt(wanted, error)
        self._settle(wanted)

    def update(self, wanted: Bucket, _before: Bucket) -> None:
        self._settle(wanted)

    def delete(self, before: Bucket | ExistingBucket) -> None:
        """Delete the bucket, never one that was there before. Its own notes go with it; all else only if the site may
        erase data.
        """
        if isinstance(before, ExistingBucket):
            return None
        erased = "" if self._site.erase_data else NOTES
        if not self._site.erase_data and found(lambda: self.is_empty(before.name)) is False:
            raise self._not_empty(before.name)
        for _ in range(ATTEMPTS):
            gone(lambda: self._empty(before.name, erased))
            try:
                return gone(lambda: self._s3.delete_bucket(Bucket=before.name))
            except ClientError as error:
                if error_code(error) != "BucketNotEmpty":
                    raise
        raise self._not_empty(before.name)

    def _not_empty(self, name: str) -> CloudError:
        if self._site.erase_data:
            return CloudError(
                f"bucket {name}", "something keeps writing to it", hint="stop it and run again"
            )
        return CloudError(f"bucket {name}", "it holds objects", hint="imgpipe down --delete-data")

    def is_empty(self, name: str) -> bool:
        """Tell whether the bucket holds nothing but notes that may go with it, also no former version."""
        for page in self._pages("list_object_versions", name):
            for kind in ("Versions", "DeleteMarkers"):
                if any(_is_data(one["Key"]) for one in page.get(kind, ())):
                    return False
        return True

    def _adopt(self, wanted: Bucket, error: ClientError) -> None:
        match error_code(error):
            case "BucketAlreadyOwnedByYou":
                return
            case "BucketAlreadyExists":
                raise CloudError(
                    f"bucket {wanted.name}",
                    "the name belongs to another AWS account",
                    hint="choose another `name:` in pipeline.yaml",
                ) from error
            case _:
                raise error

    def _settle(self, wanted: Bucket) -> None:
        put, bucket = self._put, {"Bucket": wanted.name}
        self._tag(wanted.name)
        put("public_access_block", **bucket, PublicAccessBlockConfiguration=_ALL_BLOCKED)
        put("bucket_ownership_controls", **bucket, OwnershipControls={"Rules": [_OWNER]})
        put("bucket_encryption", **bucket, ServerSideEncryptionConfiguration=_ENCRYPTION)
        self._version(wanted)
        rules = [*self._foreign_rules(wanted.name), *_lifecycle_rules(wanted)]
        put("bucket_lifecycle_configuration", **bucket, LifecycleConfiguration={"Rules": rules})
        self._let_in(wanted)
        put("bucket_policy", **bucket, Policy=wanted.policy)

    def _put(self, what: str, **arguments: Any) -> None:
        """Put one setting; again while S3 is busy with another change of the same bucket."""
        self._patiently(lambda: getattr(self._s3, f"put_{what}")(**arguments))

    def _patiently(self, call: Callable[[], Any]) -> None:
        self._site.patiently(
            call,
            lambda error: error_code(error) == "OperationAborted",
            "S3 is still busy with the bucket: waiting",
        )

    def _foreign_rules(self, name: str) -> list[dict[str, Any]]:
        return [
            r for r in self._lifecycle(name) if r.get("ID") not in {ABORT_RULE, NONCURRENT_RULE}
        ]

    def _version(self, wanted: Bucket) -> None:
        """Set versioning, which can only be suspended once it was on; a bucket that never had it is left so."""
        now = self._s3.get_bucket_versioning(Bucket=wanted.name).get("Status")
        status = "Enabled" if wanted.versioning else "Suspended"
        if status != now and (wanted.versioning or now):
            self._put(
                "bucket_versioning",
                Bucket=wanted.name,
                VersioningConfiguration={"Status": status},
            )

    def _tag(self, name: str) -> None:
        """Add our tags to those of others: S3 replaces the whole set."""
        there = found(lambda: self._s3.get_bucket_tagging(Bucket=name)) or {"TagSet": []}
        tags = {tag["Key"]: tag["Value"] for tag in there["TagSet"]}
        if not self._site.owns(tags):
            merged = [
                {"Key": key, "Value": value} for key, value in {**tags, **self._site.tags}.items()
            ]
            self._put("bucket_tagging", Bucket=name, Tagging={"TagSet": merged})

    def _lifecycle(self, name: str) -> list[dict[str, Any]]:
        answer = found(lambda: self._s3.get_bucket_lifecycle_configuration(Bucket=name)) or {
            "Rules": []
        }
        rules: list[dict[str, Any]] = answer["Rules"]
        return rules

    def _cors(self, name: str) -> list[dict[str, Any]]:
        answer = found(lambda: self._s3.get_bucket_cors(Bucket=name)) or {"CORSRules": []}
        rules: list[dict[str, Any]] = answer["CORSRules"]
        return rules

    def _origins(self, name: str) -> tuple[str, ...]:
        """Return the origins of our rule; none when somebody changed anything else in it."""
        ours = [rule for rule in self._cors(name) if rule.get("ID") == CORS_RULE]
        origins = tuple(ours[0]["AllowedOrigins"]) if ours else ()
        return origins if ours == [cors_rule(origins)] else ()

    def _let_in(self, wanted: Bucket) -> None:
        """Set our CORS rule beside those of others; without any, take the whole document away."""
        there = self._cors(wanted.name)
        others = [rule for rule in there if rule.get("ID") != CORS_RULE]
        rules = [*others, *([cors_rule(wanted.origins)] if wanted.origins else [])]
        if rules and rules != there:
            self._put("bucket_cors", Bucket=wanted.name, CORSConfiguration={"CORSRules": rules})
        elif there and not rules:
            self._patiently(lambda: self._s3.delete_bucket_cors(Bucket=wanted.name))

    def _is_private(self, name: str) -> bool:
        block = found(lambda: self._s3.get_public_access_block(Bucket=name)) or {}
        ownership = found(lambda: self._s3.get_bucket_ownership_controls(Bucket=name)) or {}
        owners = [
            rule["ObjectOwnership"]
            for rule in ownership.get("OwnershipControls", {}).get("Rules", ())
        ]
        return block.get("PublicAccessBlockConfiguration") == _ALL_BLOCKED and owners == [
            "BucketOwnerEnforced"
        ]

    def _empty(self, name: str, prefix: str) -> None:
        """Delete every version and delete marker under `prefix`, then every unfinished upload."""
        for page in self._pages("list_object_versions", name, Prefix=prefix):
            doomed = [
                {"Key": one["Key"], "VersionId": one["VersionId"]}
                for kind in ("Versions", "DeleteMarkers")
                for one in page.get(kind, ())
            ]
            for start in range(0, len(doomed), DELETE_BATCH):
                self._erase(name, doomed[start : start + DELETE_BATCH])
        for key, upload_id in self._uploads(name, prefix):
            abort = partial(
                self._s3.abort_multipart_upload, Bucket=name, Key=key, UploadId=upload_id
            )
            gone(abort)

    def _uploads(self, name: str, prefix: str) -> Iterator[tuple[str, str]]:
        """Unfinished uploads, by key and id. The SDK undoes no encoding here, so its pages would go astray."""
        markers: dict[str, str] = {}
        while True:
            page = self._s3.list_multipart_uploads(
                Bucket=name, Prefix=prefix, EncodingType="url", **markers
            )
            decoded = unquote_plus if page.get("EncodingType") == "url" else str
            for upload in page.get("Uploads", ()):
                yield decoded(upload["Key"]), upload["UploadId"]
            if not page.get("IsTruncated"):
                return
            markers = {
                "KeyMarker": decoded(page["NextKeyMarker"]),
                "UploadIdMarker": page["NextUploadIdMarker"],
            }

    def _erase(self, name: str, doomed: list[dict[str, str]]) -> None:
        """Erase up to 1,000 objects: those whose keys XML can hold in one call, the others one by one."""
        strange = [each for each in doomed if _CONTROL.search(each["Key"])]
        for each in strange:
            self._s3.delete_object(Bucket=name, **each)
        plain = [each for each in doomed if each not in strange] if strange else doomed
        if plain:
            self._erase_together(name, plain)
        self._site.say(_erased(doomed))

    def _erase_together(self, name: str, doomed: list[dict[str, str]]) -> None:
        answer = self._s3.delete_objects(Bucket=name, Delete={"Objects": doomed, "Quiet": True})
        for failure in answer.get("Errors", ()):
            raise CloudError(
                f"object {failure['Key']} of bucket {name}",
                f"{failure['Code']}: {failure['Message']}",
            )

    def _pages(self, operation: str, name: str, **by: str) -> Iterator[dict[str, Any]]:
        yield from self._s3.get_paginator(operation).paginate(Bucket=name, **by)


def cors_rule(origins: Iterable[str]) -> dict[str, Any]:
    """Return the rule that lets pages of `origins` upload: by form, or in parts, whose ETags they must read."""
    return {
        "ID": CORS_RULE,
        "AllowedHeaders": ["*"],
        "AllowedMethods": ["POST", "PUT", "GET", "DELETE"],
        "AllowedOrigins": list(origins),
        "ExposeHeaders": ["ETag"],
        "MaxAgeSeconds": CORS_AGE_S,
    }


def _lifecycle_rules(wanted: Bucket) -> Iterator[dict[str, Any]]:
    everything = {"Status": "Enabled", "Filter": {"Prefix": ""}}
    yield {
        "ID": ABORT_RULE,
        **everything,
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": wanted.abort_multipart_days},
    }
    if wanted.noncurrent_days is not None:
        yield {
            "ID": NONCURRENT_RULE,
            **everything,
            "NoncurrentVersionExpiration": {"NoncurrentDays": wanted.noncurrent_days},
        }


def _days(rules: Mapping[Any, dict[str, Any]], rule_id: str, action: str, unit: str) -> int | None:
    rule = rules.get(rule_id, {})
    days = rule.get(action, {}).get(unit) if rule.get("Status") == "Enabled" else None
    return None if days is None else int(days)


def _erased(doomed: Sequence[Mapping[str, str]]) -> str:
    count = len(doomed)
    if all(one["Key"].startswith(NOTES) for one in doomed):
        return f"erased imgpipe's own notes ({count:,})"
    return f"erased {count:,} {'object' if count == 1 else 'objects'}"


def _is_data(key: str) -> bool:
    return not key.startswith(NOTES) or key.startswith(KEPT_NOTES)
