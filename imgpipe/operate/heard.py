"""Whether anybody would hear of an upload: our notification of the uploads bucket, as S3 has it now.

S3 keeps the whole document or nothing, so another program that writes it may take our rules with it unseen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgpipe.cloud import explain
from imgpipe.deploy.providers.s3_notification import missing
from imgpipe.deploy.resources import Notification
from imgpipe.errors import MissingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgpipe.operate.project import Project


def lacking(project: Project) -> tuple[str, ...]:
    """Return what of ours the bucket doesn't tell, such as `topic NAME`: one call.

    Without a bucket that is everything. Raises CloudError.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    document = {}
    try:
        document = project.cloud.client("s3").get_bucket_notification_configuration(
            Bucket=project.graph.uploads_bucket
        )
    except (BotoCoreError, ClientError) as error:
        known = explain(error, "the upload bucket")
        if not isinstance(known, MissingError):
            raise known from error
    return tuple(
        told for wanted in project.graph.of(Notification) for told in missing(document, wanted)
    )


def says(missing: Sequence[str]) -> str:
    """Return it as a sentence."""
    return f"its notifications don't reach {', '.join(missing)}: our rules are missing there, or changed"
