"""Hands out leave to upload one file straight to S3, over the function's own URL.

Who may ask is decided before this runs: by IAM, or by nobody (`uploads: {direct: {auth: none}}`).
"""

from typing import Any

from imgpipe.runtime import direct


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one HTTP request: JSON with the address and the fields of a form."""
    return direct.run(event, context)
