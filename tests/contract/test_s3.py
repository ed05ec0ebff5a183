"""Buckets and objects, and the settings of a bucket."""

from __future__ import annotations

import io
import json
import os
from typing import Any
from urllib.parse import unquote_plus

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

from tests.contract.aws import Aws, error_code, unique, until
from tests.contract.web import Page, ask, post_form

PART = 5 << 20
PAGE = "http://localhost:3000"
"""Where a web page of this machine comes from. Others are refused whatever a bucket's rules say."""


def signed(cloud: Aws, method: str, bucket: str, key: str, *, v4: bool = True, **more: Any) -> str:
    version = "s3v4" if v4 else "s3"
    config = Config(signature_version=version, s3={"addressing_style": "path"})
    client = cloud.client("s3", config=config)
    parameters = {"Bucket": bucket, "Key": key}
    return str(client.generate_presigned_url(method, parameters, **more))


def test_a_signed_link_uploads(cloud: Aws) -> None:
    bucket = cloud.bucket()
    assert ask("PUT", signed(cloud, "put_object", bucket, "a b.jpg"), b"abc").status == 200


def test_a_signed_link_downloads(cloud: Aws) -> None:
    bucket = cloud.bucket()
    cloud.put(bucket, "a b.jpg", body=b"abc")
    page = ask("GET", signed(cloud, "get_object", bucket, "a b.jpg"))
    assert (page.status, page.body) == (200, b"abc")


def test_a_signed_link_uploads_under_a_key_in_any_script(cloud: Aws) -> None:
    bucket = cloud.bucket()
    assert ask("PUT", signed(cloud, "put_object", bucket, "v4 ü日.jpg"), b"abc").status == 200
    assert cloud.client("s3").head_object(Bucket=bucket, Key="v4 ü日.jpg")["ContentLength"] == 3


def test_a_signed_link_expires(cloud: Aws) -> None:
    bucket = cloud.bucket()
    cloud.put(bucket, "k")
    url = signed(cloud, "get_object", bucket, "k", ExpiresIn=1)
    until(lambda: ask("GET", url).status == 403)


def test_a_forged_signature_is_refused(cloud: Aws) -> None:
    bucket = cloud.bucket()
    cloud.put(bucket, "k")
    url = signed(cloud, "get_object", bucket, "k")
    assert ask("GET", url[:-4] + "0000").status == 403


def form(cloud: Aws, content: bytes) -> Page:
    """Post a form that takes up to five bytes."""
    made = cloud.client("s3").generate_presigned_post(
        cloud.bucket(), "up/${filename}", Conditions=[["content-length-range", 0, 5]]
    )
    return post_form(made["url"], made["fields"], content)


def test_a_signed_form_uploads(cloud: Aws) -> None:
    assert form(cloud, b"abc").status in {200, 201, 204}


def test_a_signed_form_refuses_what_is_too_long(cloud: Aws) -> None:
    assert form(cloud, b"abcdefghij").status == 400


@pytest.fixture(scope="module")
def large() -> bytes:
    return os.urandom(2 * PART + 1)


def test_a_large_file_is_uploaded_in_parts(aws: Aws, large: bytes) -> None:
    s3, bucket = aws.client("s3"), aws.bucket()
    parts = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART)
    s3.upload_fileobj(io.BytesIO(large), bucket, "big", Config=parts)
    found = s3.get_object(Bucket=bucket, Key="big")
    assert found["Body"].read() == large
    assert found["ETag"].endswith('-3"')


def test_a_range_of_an_object_can_be_read(aws: Aws) -> None:
    bucket = aws.bucket()
    aws.put(bucket, "k", body=b"0123456789")
    found = aws.client("s3").get_object(Bucket=bucket, Key="k", Range="bytes=5-8")
    assert found["Body"].read() == b"5678"


def tls_only(aws: Aws) -> str:
    """Make a bucket that refuses plain HTTP."""
    bucket = aws.bucket()
    denial = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [denial]})
    aws.client("s3").put_bucket_policy(Bucket=bucket, Policy=policy)
    return bucket


def test_a_bucket_keeps_its_policy(aws: Aws) -> None:
    found = aws.client("s3").get_bucket_policy(Bucket=tls_only(aws))
    assert "aws:SecureTransport" in found["Policy"]


def test_a_bucket_that_refuses_plain_http_can_be_used(aws: Aws) -> None:
    aws.put(tls_only(aws), "k")


def test_public_access_can_be_blocked(aws: Aws) -> None:
    s3, bucket = aws.client("s3"), aws.bucket()
    block = dict.fromkeys(
        ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
    )
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=block)
    found = s3.get_public_access_block(Bucket=bucket)
    assert found["PublicAccessBlockConfiguration"] == block


def test_a_bucket_keeps_how_it_encrypts(aws: Aws) -> None:
    s3, bucket = aws.client("s3"), aws.bucket()
    default = {"SSEAlgorithm": "AES256"}
    rule = {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    found = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]
    assert found["Rules"][0]["ApplyServerSideEncryptionByDefault"] == default


def test_a_bucket_keeps_its_lifecycle(aws: Aws) -> None:
    s3, bucket = aws.client("s3"), aws.bucket()
    rule = {
        "ID": "x",
        "Status": "Enabled",
        "Filter": {"Prefix": "tmp/"},
        "Expiration": {"Days": 1},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
    }
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [rule]})
    [found] = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert found["Expiration"] == {"Days": 1}


def preflight(cloud: Aws, origin: str) -> Page:
    bucket = cloud.bucket()
    rule = {"AllowedMethods": ["PUT"], "AllowedOrigins": [PAGE], "AllowedHeaders": ["*"]}
    cloud.client("s3").put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    return ask(
        "OPTIONS",
        f"{cloud.endpoint}/{bucket}/k",
        Origin=origin,
        Access_Control_Request_Method="PUT",
    )


def test_a_browser_is_let_in_from_an_allowed_origin(cloud: Aws) -> None:
    page = preflight(cloud, PAGE)
    assert page.status == 200
    assert page.headers["access-control-allow-origin"] in {PAGE, "*"}


def test_a_browser_is_refused_from_another_origin(cloud: Aws) -> None:
    assert preflight(cloud, "http://localhost:6666").status == 403


def test_old_versions_are_kept(aws: Aws) -> None:
    s3, bucket = aws.client("s3"), aws.bucket()
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=bucket, Key="k", Body=b"1")["VersionId"]
    s3.put_object(Bucket=bucket, Key="k", Body=b"2")
    assert s3.get_object(Bucket=bucket, Key="k", VersionId=first)["Body"].read() == b"1"
    assert len(s3.list_object_versions(Bucket=bucket)["Versions"]) == 2


def test_an_object_keeps_its_metadata_type_and_tags(aws: Aws) -> None:
    s3, bucket = aws.client("s3"), aws.bucket()
    s3.put_object(
        Bucket=bucket,
        Key="k",
        Body=b"1",
        Metadata={"a": "b"},
        Tagging="c=d",
        ContentType="image/png",
    )
    head = s3.head_object(Bucket=bucket, Key="k")
    assert (head["Metadata"], head["ContentType"]) == ({"a": "b"}, "image/png")
    tags = s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"]
    assert tags == [{"Key": "c", "Value": "d"}]


def test_a_write_that_wants_to_be_the_first_fails_on_an_object(aws: Aws) -> None:
    bucket = aws.bucket()
    aws.put(bucket, "k")
    code = error_code(
        aws.client("s3").put_object, Bucket=bucket, Key="k", Body=b"2", IfNoneMatch="*"
    )
    assert code == "PreconditionFailed"


def test_ones_own_bucket_can_be_made_again(aws: Aws) -> None:
    code = error_code(aws.client("s3").create_bucket, Bucket=aws.bucket())
    assert code in {None, "BucketAlreadyOwnedByYou"}


def test_a_bucket_with_objects_is_not_deleted(aws: Aws) -> None:
    bucket = aws.bucket()
    aws.put(bucket, "k")
    assert error_code(aws.client("s3").delete_bucket, Bucket=bucket) == "BucketNotEmpty"


def test_a_checksum_is_returned(aws: Aws) -> None:
    done = aws.client("s3").put_object(
        Bucket=aws.bucket(), Key="k", Body=b"1", ChecksumAlgorithm="SHA256"
    )
    assert done["ChecksumSHA256"]


def test_a_bucket_knows_its_region(aws: Aws) -> None:
    s3, name = aws.client("s3", region_name="eu-west-1"), unique("bucket")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] == "eu-west-1"


def test_the_owner_can_own_all_objects(aws: Aws) -> None:
    s3, bucket = aws.client("s3"), aws.bucket()
    s3.put_bucket_ownership_controls(
        Bucket=bucket,
        OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
    )
    [rule] = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
    assert rule["ObjectOwnership"] == "BucketOwnerEnforced"


def test_a_listing_in_pages_has_each_object_once(aws: Aws) -> None:
    bucket = aws.bucket()
    keys = [f"k{number:02}" for number in range(20)]
    aws.put(bucket, *keys)
    pages = aws.client("s3").get_paginator("list_objects_v2")
    found = pages.paginate(Bucket=bucket, PaginationConfig={"PageSize": 7})
    assert [each["Key"] for page in found for each in page["Contents"]] == keys


STRANGE = "a/esc\x1b[31m +ü%20.jpg"
"""A key that XML can't hold, with what an encoding could spoil."""


@pytest.mark.parametrize("status", ["never", "Enabled"])
def test_versions_of_keys_that_xml_cannot_hold_are_listed_page_by_page(
    cloud: Aws, status: str
) -> None:
    bucket = cloud.bucket()
    if status != "never":
        versioning = {"Status": status}
        cloud.client("s3").put_bucket_versioning(Bucket=bucket, VersioningConfiguration=versioning)
    keys = [STRANGE, "a/tab\tnew\nline", "a/z\x01"]
    cloud.put(bucket, *keys)
    pages = cloud.client("s3").get_paginator("list_object_versions")
    found = pages.paginate(Bucket=bucket, Prefix="a/", PaginationConfig={"PageSize": 1})
    assert [one["Key"] for page in found for one in page["Versions"]] == sorted(keys)


def test_versions_are_grouped_by_a_delimiter_that_xml_cannot_hold(cloud: Aws) -> None:
    bucket = cloud.bucket()
    cloud.put(bucket, STRANGE)
    answer = cloud.client("s3").list_object_versions(Bucket=bucket, Delimiter="\x1b")
    assert (answer["Delimiter"], answer["CommonPrefixes"]) == ("\x1b", [{"Prefix": "a/esc\x1b"}])


def test_a_version_of_a_key_that_xml_cannot_hold_is_deleted_by_itself(cloud: Aws) -> None:
    """DeleteObjects can't name the key: the SDK escapes it, and XML 1.0 refuses it even so."""
    bucket, s3 = cloud.bucket(), cloud.client("s3")
    cloud.put(bucket, STRANGE)
    doomed = {"Objects": [{"Key": STRANGE}]}
    assert error_code(s3.delete_objects, Bucket=bucket, Delete=doomed) == "MalformedXML"
    [version] = s3.list_object_versions(Bucket=bucket)["Versions"]
    s3.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
    assert "Versions" not in s3.list_object_versions(Bucket=bucket)


def test_an_upload_to_a_key_that_xml_cannot_hold_is_listed_if_asked_for_the_encoding(
    cloud: Aws,
) -> None:
    bucket, s3 = cloud.bucket(), cloud.client("s3")
    error_code(s3.create_multipart_upload, Bucket=bucket, Key=STRANGE)  # the answer is broken XML
    answer = s3.list_multipart_uploads(Bucket=bucket, EncodingType="url")
    assert answer["EncodingType"] == "url"
    assert [unquote_plus(upload["Key"]) for upload in answer["Uploads"]] == [STRANGE]
