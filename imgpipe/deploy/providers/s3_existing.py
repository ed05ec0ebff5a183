"""A bucket that was there before the pipeline: it is read, told to announce uploads, and otherwise left as it is.

Its settings are its owner's. What in them bears on uploads is put in words (`remarks`), for whoever plans: nothing of
it is changed, so nothing of it is a difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from botocore.exceptions import ClientError

from imgpipe.cloud import error_code
from imgpipe.deploy.providers.site import Site, found
from imgpipe.deploy.resources import ExistingBucket, Remark
from imgpipe.errors import CloudError, MissingError

_NONE = frozenset(
    {"ServerSideEncryptionConfigurationNotFoundError", "NoSuchPublicAccessBlockConfiguration"}
)
_PUT = "aws s3api put-bucket-"
_OURS_TO_USE = "alias/aws/s3"
"""The key that AWS keeps for S3: whoever may read an object may read it through this one."""


def read(site: Site, wanted: ExistingBucket) -> Iterator[ExistingBucket]:
    """Yield the bucket with what is to be said of it. Raises CloudError when S3 couldn't notify from there."""
    s3 = site.client("s3")
    head = found(lambda: s3.head_bucket(Bucket=wanted.name, ExpectedBucketOwner=site.place.account))
    if head is None:
        return
    region = head.get("BucketRegion") or site.place.region
    if region != site.place.region:
        raise CloudError(
            f"bucket {wanted.name}",
            f"it is in {region} and the pipeline in {site.place.region}; S3 notifies within a Region only",
            hint=f"write `region: {region}` for this environment in pipeline.yaml",
        )
    yield replace(wanted, remarks=tuple(remarks(s3, wanted)))


def missing(name: str) -> MissingError:
    return MissingError(
        f"bucket {name}",
        "pipeline.yaml says that it is there already, and it isn't",
        hint=f"aws s3 mb s3://{name}, or leave `bucket` out under `uploads` to have one made",
    )


def remarks(s3: Any, one: ExistingBucket) -> Iterator[Remark]:
    """Yield what of the bucket's settings makes uploads less safe than in a bucket of the pipeline's own."""
    asked = {
        "versioning": _versions,
        "public access": _public,
        "encryption": _encryption,
        "CORS": _origins,
    }
    for what, ask in asked.items():
        try:
            yield from ask(s3, one)
        except ClientError as error:
            told = f"its {what} can't be read ({error_code(error)})"
            yield Remark(told, f"aws iam list-attached-user-policies # s3:Get… on {one.name}")


def _asked(call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return an answer; an empty one where nothing was ever set."""
    try:
        return found(call) or {}
    except ClientError as error:
        if error_code(error) in _NONE:
            return {}
        raise


def _versions(s3: Any, one: ExistingBucket) -> Iterator[Remark]:
    if s3.get_bucket_versioning(Bucket=one.name).get("Status") != "Enabled":
        yield Remark(
            "it keeps no versions: an upload that is replaced or deleted is gone for good",
            f"{_PUT}versioning --bucket {one.name} --versioning-configuration Status=Enabled",
        )


def _public(s3: Any, one: ExistingBucket) -> Iterator[Remark]:
    status = _asked(lambda: s3.get_bucket_policy_status(Bucket=one.name))
    if status.get("PolicyStatus", {}).get("IsPublic"):
        yield Remark(
            "its policy makes it public: everybody can see what is uploaded",
            f"aws s3api get-bucket-policy --bucket {one.name}",
        )
        return
    answer = _asked(lambda: s3.get_public_access_block(Bucket=one.name))
    block = answer.get("PublicAccessBlockConfiguration", {})
    if not block or not all(block.values()):
        yield Remark(
            "public access isn't blocked: a policy or an ACL could show uploads to everybody",
            f"aws s3api put-public-access-block --bucket {one.name} "
            "--public-access-block-configuration BlockPublicAcls=true,IgnorePublicAcls=true,"
            "BlockPublicPolicy=true,RestrictPublicBuckets=true",
        )


def _encryption(s3: Any, one: ExistingBucket) -> Iterator[Remark]:
    answer = _asked(lambda: s3.get_bucket_encryption(Bucket=one.name))
    rules = answer.get("ServerSideEncryptionConfiguration", {}).get("Rules", ())
    chosen = [rule.get("ApplyServerSideEncryptionByDefault", {}) for rule in rules]
    keys = [each["KMSMasterKeyID"] for each in chosen if each.get("KMSMasterKeyID")]
    if not chosen:
        yield Remark(
            "no encryption is set on it",
            f"{_PUT}encryption --bucket {one.name} --server-side-encryption-configuration "
            """'{"Rules":[{"ApplyServerSideEncryptionByDefault":{"SSEAlgorithm":"AES256"}}]}'""",
        )
    for key in keys:
        if not (key.endswith(_OURS_TO_USE) or _is(key, one.kms_key)):
            yield Remark(
                f"it is encrypted with {key}, which the functions' roles may not use",
                f"aws kms describe-key --key-id {key} # its Arn is `kms_key` under `uploads` in pipeline.yaml",
            )


def _is(key: str, declared: str) -> bool:
    """Whether a bucket's key, an id or an ARN, is the declared one. What an alias stands for isn't asked."""
    return bool(declared) and (
        "alias/" in key or key.rpartition("/")[2] == declared.rpartition("/")[2]
    )


def _origins(s3: Any, one: ExistingBucket) -> Iterator[Remark]:
    answer = _asked(lambda: s3.get_bucket_cors(Bucket=one.name))
    let_in = {origin for rule in answer.get("CORSRules", ()) for origin in rule["AllowedOrigins"]}
    lacking = [origin for origin in one.origins if origin not in let_in and "*" not in let_in]
    if lacking:
        yield Remark(
            f"its CORS rules let in no page of {', '.join(lacking)}: uploads from a browser fail",
            f"{_PUT}cors --bucket {one.name} --cors-configuration file://cors.json",
        )
