"""Clears up: when an upload is removed, its row becomes a tombstone and its variants are deleted.

To keep the variants of removed uploads, delete the step `tidy` from pipeline.yaml in place of
changing this file.
"""

from typing import Any

from imgpipe.runtime import tidy


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Take a batch of removals and of outputs to be deleted.

    Returns the messages that must come back.
    """
    return dict(tidy.run(event, context))
