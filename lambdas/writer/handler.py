"""Writes the table: merges what the steps said about an image into its row, the only code that
does.

When the last step of an image is in, it publishes `completed`. Publishing more, or writing a second
table, is best done by a function of your own that subscribes to the `completed` topic: this one
stays small so that it stays right.
"""

from typing import Any

from imgpipe.runtime import writer


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Take a batch of results from the queue. Returns the messages that must come back."""
    return dict(writer.run(event, context))
