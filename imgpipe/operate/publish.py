"""The functions' code in a bucket, where a CloudFormation stack or a Terraform plan takes it from.

A version is a folder: its name is a hash of every function's sources and lock and of what they are built for, so the
same sources have the same version on any machine, and a version that is there is never written again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from imgpipe.cloud import error_code, explain
from imgpipe.deploy.export.versions import version_of
from imgpipe.errors import MissingError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imgpipe.cloud import Cloud
    from imgpipe.deploy.package import Zip


@dataclass(frozen=True, slots=True)
class Published:
    """Where the code is: the values of the template's parameters, and the objects that had to be written."""

    bucket: str
    version: str  # the folder, with what was asked for before it
    written: tuple[str, ...]


def parse(url: str) -> tuple[str, str]:
    """Split `s3://BUCKET/PREFIX` into bucket and prefix. Raises UsageError."""
    parts = urlsplit(url)
    if parts.scheme != "s3" or not parts.netloc:
        raise UsageError(f"--to {url}", "it isn't a place in S3", hint="--to s3://BUCKET/PREFIX")
    return parts.netloc, parts.path.strip("/")


def publish(cloud: Cloud, zips: Mapping[str, Zip], target: str, url: str) -> Published:
    """Put the zip of each source, built for `target`, into the bucket, unless it is there already."""
    bucket, prefix = parse(url)
    hashes = {source: made.code_hash for source, made in zips.items()}
    version = "/".join(filter(None, (prefix, version_of(hashes, target))))
    s3, written = cloud.client("s3"), []
    for source, made in sorted(zips.items()):
        key = f"{version}/{source}.zip"
        try:
            if not _is_there(s3, bucket, key):
                s3.put_object(Bucket=bucket, Key=key, Body=made.path.read_bytes())
                written.append(key)
        except Exception as error:
            if error_code(error) == "NoSuchBucket":
                raise MissingError(
                    f"bucket {bucket}", "it is not there", hint=f"aws s3 mb s3://{bucket}"
                ) from error
            raise explain(error, f"s3://{bucket}/{key}") from error
    return Published(bucket, version, tuple(written))


def _is_there(s3: object, bucket: str, key: str) -> bool:
    try:
        s3.head_object(Bucket=bucket, Key=key)  # type: ignore[attr-defined]
    except Exception as error:
        if error_code(error) in {"404", "NoSuchKey", "NotFound"}:
            return False
        raise
    return True
