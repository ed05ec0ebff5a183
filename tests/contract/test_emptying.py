"""Taking down a bucket of the embedded cloud whose keys XML can't hold."""

from __future__ import annotations

import pytest

from imgpipe.deploy.providers.s3 import Buckets
from imgpipe.deploy.providers.site import Site
from imgpipe.deploy.resources import Bucket, Place
from tests.contract.aws import Aws, error_code

STRANGE = ["a/esc\x1b[31m +ü%20.jpg", "a/two\nlines\r.jpg", "a/\x01", "plain.jpg"]


@pytest.fixture
def doomed(cloud: Aws) -> Bucket:
    bucket = cloud.bucket()
    s3 = cloud.client("s3")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    cloud.put(bucket, *STRANGE, *STRANGE)
    for key in STRANGE:
        s3.delete_object(Bucket=bucket, Key=key)
        error_code(s3.create_multipart_upload, Bucket=bucket, Key=key)
    return Bucket(name=bucket, versioning=True, policy="")


def test_versions_markers_and_uploads_under_strange_keys_go_with_the_bucket(
    cloud: Aws, doomed: Bucket
) -> None:
    place = Place(account=cloud.account, region="us-east-1")
    Buckets(Site(cloud, place, "strange", {}, erase_data=True)).delete(doomed)
    assert error_code(cloud.client("s3").head_bucket, Bucket=doomed.name) == "404"
