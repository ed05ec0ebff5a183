"""Who the running cloud serves: the project's key, what it signed, links in mail; nobody else."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud_fixture import EmbeddedCloud
from tests.e2e.deployed import fetch

pytestmark = pytest.mark.e2e


@pytest.fixture
def bucket(embedded_cloud: EmbeddedCloud) -> str:
    name = f"guard-{uuid.uuid4().hex[:8]}"
    s3 = embedded_cloud.client("s3")
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="photo.jpg", Body=b"bytes")
    return name


def _code(call: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])


@pytest.mark.parametrize("access_key", ["test", "000000000000", "AKIAIOSFODNN7EXAMPLE"])
def test_another_key_is_unknown(
    embedded_cloud: EmbeddedCloud, bucket: str, access_key: str
) -> None:
    other = {"aws_access_key_id": access_key, "aws_secret_access_key": "test"}
    s3, sqs = (embedded_cloud.client(name, **other) for name in ("s3", "sqs"))

    assert _code(lambda: s3.get_object(Bucket=bucket, Key="photo.jpg")) == "InvalidAccessKeyId"
    assert _code(sqs.list_queues) == "InvalidClientTokenId"


@pytest.mark.parametrize("service", ["s3", "sqs", "sns", "dynamodb", "lambda", "iam", "sts"])
def test_the_right_key_with_a_wrong_secret_is_refused(
    embedded_cloud: EmbeddedCloud, service: str
) -> None:
    client = embedded_cloud.client(service, aws_secret_access_key="guess")
    first = {
        "s3": "list_buckets",
        "sqs": "list_queues",
        "sns": "list_topics",
        "dynamodb": "list_tables",
        "lambda": "list_functions",
        "iam": "list_roles",
        "sts": "get_caller_identity",
    }[service]

    assert _code(getattr(client, first)) in {"SignatureDoesNotMatch", "InvalidSignatureException"}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
def test_an_unsigned_request_to_s3_is_denied(
    embedded_cloud: EmbeddedCloud, bucket: str, method: str
) -> None:
    status, body = fetch(f"{embedded_cloud.endpoint}/{bucket}/photo.jpg", method, b"x")

    assert status == 403
    assert b"AccessDenied" in body
    assert (
        embedded_cloud.client("s3").get_object(Bucket=bucket, Key="photo.jpg")["Body"].read()
        == b"bytes"
    )


def test_an_unsigned_request_to_others_is_refused(embedded_cloud: EmbeddedCloud) -> None:
    for target in ("/?Action=ListTopics&Version=2010-03-31", "/?Action=ListUsers", "/"):
        assert fetch(embedded_cloud.endpoint + target)[0] == 403


def test_a_public_bucket_is_public_for_what_its_policy_says(
    embedded_cloud: EmbeddedCloud, bucket: str
) -> None:
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
    }
    s3 = embedded_cloud.client("s3")
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_bucket_policy(
        Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    )
    url = f"{embedded_cloud.endpoint}/{bucket}"

    assert fetch(f"{url}/photo.jpg") == (200, b"bytes")
    assert fetch(f"{url}/photo.jpg", "PUT", b"x")[0] == 403
    assert fetch(url)[0] == 403


def test_presigned_links_work_and_altered_ones_do_not(
    embedded_cloud: EmbeddedCloud, bucket: str
) -> None:
    s3 = embedded_cloud.client("s3")
    get = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "photo.jpg"})
    put = s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "new.jpg"})

    assert fetch(get) == (200, b"bytes")
    assert fetch(put, "PUT", b"new")[0] == 200
    assert fetch(get, "PUT", b"x")[0] == 403
    assert fetch(get.replace("photo", "new"))[0] == 403
    assert s3.get_object(Bucket=bucket, Key="new.jpg")["Body"].read() == b"new"


@pytest.mark.parametrize("signed", [True, False])
def test_an_upload_form_needs_its_signature(
    embedded_cloud: EmbeddedCloud, bucket: str, signed: bool
) -> None:
    form = embedded_cloud.client("s3").generate_presigned_post(bucket, "form.jpg")
    fields = form["fields"] if signed else {"key": "form.jpg"}
    boundary = "b0undary"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    parts.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nhi\r\n'
    )
    status, _ = fetch(
        f"{embedded_cloud.endpoint}/{bucket}",
        "POST",
        "".join([*parts, f"--{boundary}--\r\n"]).encode(),
        Content_Type=f"multipart/form-data; boundary={boundary}",
    )

    assert status == (204 if signed else 403)


def test_a_foreign_page_gets_nothing(embedded_cloud: EmbeddedCloud, bucket: str) -> None:
    s3 = embedded_cloud.client("s3")
    link = s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "photo.jpg"})

    assert fetch(link, "PUT", b"x", Origin="https://evil.example")[0] == 403
    assert fetch(link, "PUT", b"x", Host="evil.example")[0] == 403
    assert fetch(link, "PUT", b"y", Origin="http://localhost:8000")[0] == 200


def test_the_whole_state_can_not_be_wiped_by_a_request(embedded_cloud: EmbeddedCloud) -> None:
    reset = f"{embedded_cloud.endpoint}/_ministack/reset"
    assert fetch(reset, "POST")[0] == 403
    assert fetch(reset, "POST", X_Imgpipe_Token="guess")[0] == 403


def test_nothing_listens_beyond_this_machine(embedded_cloud: EmbeddedCloud) -> None:
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    port = f":{embedded_cloud.running.port:04X}"
    listening = {line[1] for line in lines if line[1].endswith(port) and line[3] == "0A"}

    assert listening == {f"0100007F{port}"}


def test_users_that_the_key_made_get_what_their_policies_say(
    embedded_cloud: EmbeddedCloud, bucket: str
) -> None:
    iam, name = embedded_cloud.client("iam"), f"user-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    own = {
        "aws_access_key_id": key["AccessKeyId"],
        "aws_secret_access_key": key["SecretAccessKey"],
    }
    s3 = embedded_cloud.client("s3", **own)

    assert _code(lambda: s3.get_object(Bucket=bucket, Key="photo.jpg")) == "AccessDenied"
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    iam.put_user_policy(
        UserName=name,
        PolicyName="own",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    assert s3.get_object(Bucket=bucket, Key="photo.jpg")["Body"].read() == b"bytes"
