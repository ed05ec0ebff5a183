"""Makes images: every function of the pipeline that works on uploads runs this file, each with its
own steps.

To do work of your own, change `make`: it gets the bytes of one upload and the settings of this
function's steps from pipeline.yaml, and returns what each step made. Raise `Rejected` for an upload
that can never work; anything else that you raise is tried again. Reading, storing, reporting,
retries and dead letters are taken care of by `steps.run`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imgpipe.runtime import image, steps
from imgpipe.runtime.made import Made
from imgpipe.runtime.settings import Limits

HERE = Path(__file__).parent
"""Where filters of your own are, in `filters/`, and the files that filters name."""


def make(
    data: bytes, wanted: Mapping[str, Mapping[str, Any]], limits: Limits
) -> Mapping[str, Made]:
    """Decode the upload once and make the variants and facts of every step."""
    return image.make(data, wanted, limits, HERE)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Take uploads from a queue or straight from a topic.

    Returns the messages that must come back.
    """
    return dict(steps.run(event, context, make))
