"""Whose is what has our name? Told by its tags, asked of its own service: the tagging API lags behind.

Only kinds are asked about that somebody else may well have given the same name. Buckets carry the account's number
in theirs, roles lie under our path, and log groups and alarms stand and fall with what they are about.
"""

from __future__ import annotations

from typing import Any

from imgpipe.deploy.providers.site import Site, found
from imgpipe.deploy.resources import Key, Kind

ASKED: frozenset[Kind] = frozenset({"topic", "queue", "table", "function"})


def is_ours(site: Site, key: Key) -> bool:
    """Tell whether `key` carries our tags. What is not there is nobody else's."""
    tags = found(lambda: _tags(site, key))
    return tags is None or site.owns(tags)


def _tags(site: Site, key: Key) -> dict[str, str]:
    place = site.place
    match key.kind:
        case "queue":
            answer = site.client("sqs").list_queue_tags(QueueUrl=place.queue_url(key.name))
            return dict(answer.get("Tags", {}))
        case "topic":
            arn = place.topic_arn(key.name)
            return _flat(site.client("sns").list_tags_for_resource(ResourceArn=arn))
        case "table":
            arn = place.table_arn(key.name)
            return _flat(site.client("dynamodb").list_tags_of_resource(ResourceArn=arn))
        case "function":
            answer = site.client("lambda").list_tags(Resource=place.function_arn(key.name))
            return dict(answer.get("Tags", {}))
        case _:
            raise ValueError(key)


def _flat(answer: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in answer.get("Tags", ())}
