"""Tells people what happened, in words: an upload was received, is ready, or could not be
processed.

The words are in `imgpipe/runtime/notifier.py`. Who hears of what is in pipeline.yaml under
`notify`.
"""

from typing import Any

from imgpipe.runtime import notifier


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Take one event from the `uploaded` or the `completed` topic.

    Raises, so that Lambda tries again, if it fails.
    """
    return dict(notifier.run(event, context))
