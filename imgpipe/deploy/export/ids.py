"""Names of resources inside an exported file: letters and digits in CloudFormation, words in Terraform."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imgpipe.deploy.graph import Graph
    from imgpipe.deploy.resources import Key

_WORD = re.compile(r"[A-Za-z0-9]+")
MAX_LENGTH = 200


def words(graph: Graph, key: Key) -> list[str]:
    """Return the words of a resource's kind and short name: what all names here share is left out."""
    place, name = graph.place, key.name
    for shared in (
        f"{graph.pipeline}-{graph.environment}-",
        f"-{place.account}-{place.region}",
        f"-{place.region}",
        place.region,
        "/aws/lambda/",
    ):
        name = name.replace(shared, "")
    return [key.kind.replace("_", " ").title().replace(" ", ""), *_WORD.findall(name)]


def unique(made: Iterable[tuple[Key, str]]) -> dict[Key, str]:
    """Return each key's name; where two keys came to the same one, all but the first carry a hash of the key."""
    taken: set[str] = set()
    names: dict[Key, str] = {}
    for key, wanted in made:
        name = wanted[:MAX_LENGTH]
        if name in taken:
            name += hashlib.sha256(str(key).encode()).hexdigest()[:8]
        taken.add(name)
        names[key] = name
    return names
