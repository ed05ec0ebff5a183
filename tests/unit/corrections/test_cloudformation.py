"""A template's lifecycle becomes the document that S3's API takes, which boto3 writes by itself."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from contextlib import suppress
from typing import Any

import boto3

from imgpipe.local.corrections.cloudformation import lifecycle_xml

TEMPLATE = {
    "Rules": [
        {
            "Id": "old",
            "Status": "Enabled",
            "Prefix": "logs/",
            "ExpirationInDays": 90,
            "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
            "Transitions": [{"TransitionInDays": 30, "StorageClass": "STANDARD_IA"}],
        },
        {
            "Id": "tagged",
            "Status": "Disabled",
            "Prefix": "a/",
            "TagFilters": [{"Key": "k", "Value": "v"}],
            "ExpiredObjectDeleteMarker": True,
        },
    ]
}
API: list[dict[str, Any]] = [
    {
        "ID": "old",
        "Status": "Enabled",
        "Filter": {"Prefix": "logs/"},
        "Expiration": {"Days": 90},
        "Transitions": [{"Days": 30, "StorageClass": "STANDARD_IA"}],
        "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    },
    {
        "ID": "tagged",
        "Status": "Disabled",
        "Filter": {"And": {"Prefix": "a/", "Tags": [{"Key": "k", "Value": "v"}]}},
        "Expiration": {"ExpiredObjectDeleteMarker": True},
    },
]


def test_a_lifecycle_of_a_template_is_what_boto3_would_send() -> None:
    s3 = boto3.client("s3", "us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    sent: list[bytes] = []

    def catch(request: Any, **_: Any) -> None:
        sent.append(request.body)
        raise InterruptedError

    s3.meta.events.register("before-send.s3.PutBucketLifecycleConfiguration", catch)
    with suppress(InterruptedError):
        s3.put_bucket_lifecycle_configuration(
            Bucket="b",
            LifecycleConfiguration={"Rules": API},  # type: ignore[typeddict-item]
        )
    assert _tree(ET.fromstring(lifecycle_xml(TEMPLATE))) == _tree(ET.fromstring(sent[0]))  # noqa: S314


def _tree(node: ET.Element) -> Any:
    name = node.tag.rpartition("}")[2]
    return name, sorted(map(_tree, node), key=str) or node.text
