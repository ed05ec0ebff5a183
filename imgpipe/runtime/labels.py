"""What a model recognises in a picture, added to the tags that were computed of it
(`tags: rekognition`).

Each tag says where it comes from. The model is shown the small copy that the image core made, not
the upload: so it works for every format, and for pictures larger than the 5 MB that Rekognition
takes. A throttled or unreachable model is tried again with the whole message, like anything else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imgpipe.runtime.made import Made
    from imgpipe.runtime.store import Store

ORIGIN = "rekognition"


def facts(product: Made, store: Store) -> dict[str, Any]:
    """Return a step's facts; where it has a preview, with what the model recognises in that."""
    told = dict(product.facts)
    if not product.preview:
        return told
    found = [
        {"name": label.name, "origin": ORIGIN, "confidence": round(label.confidence, 1)}
        for label in store.labels(product.preview)
    ]
    return {**told, "tags": [*told.get("tags", ()), *found]}
