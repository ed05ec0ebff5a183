"""Why no export holds a bucket that was there before: both tools write a notification document as a whole."""

from __future__ import annotations

from imgpipe.errors import UsageError


def refusal(bucket: str, tool: str) -> UsageError:
    return UsageError(
        f"bucket {bucket}",
        f"it isn't the pipeline's own, and {tool} would replace all its notifications with ours",
        hint="imgpipe up, which adds to them; or an environment without `uploads: {bucket: …}`",
    )
