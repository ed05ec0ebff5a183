"""What CloudFormation and Terraform are told in the same words, and how their texts are walked through."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from imgpipe.deploy import resources as r

CODE_BUCKET = "The bucket with the functions' code: imgpipe package --to s3://BUCKET"
CODE_VERSION = "The folder in it, as imgpipe package --to printed it"


def redrive(place: r.Place, dlq: str, max_receives: int | None = None) -> dict[str, Any]:
    """Return the policy that sends to a dead-letter queue; of a queue, after so many receives."""
    limit = {} if max_receives is None else {"maxReceiveCount": max_receives}
    return {"deadLetterTargetArn": place.queue_arn(dlq), **limit}


def endpoint(place: r.Place, one: r.Subscription) -> str:
    """Return what hears a topic as SNS names it: an ARN of ours, or the address as it is."""
    match one.protocol:
        case "sqs":
            return place.queue_arn(one.endpoint)
        case "lambda":
            return place.function_arn(one.endpoint)
        case _:
            return one.endpoint


def key_names(table: r.Table) -> list[str]:
    """Return the attributes that are keys of the table or its indexes, sorted."""
    indexes = {name for it in table.indexes for name in (it.hash_key, it.range_key)}
    return sorted({table.hash_key, table.range_key} | indexes)


def each_text(value: Any, change: Callable[[str], Any], again: Callable[[Any], Any]) -> Any:
    """Return `value` with each text in it changed; `again` goes on inside mappings and lists."""
    match value:
        case dict():
            return {name: again(inner) for name, inner in value.items()}
        case list():
            return [again(inner) for inner in value]
        case str():
            return change(value)
        case _:
            return value


def around(kept: re.Pattern[str], text: str, change: Callable[[str], str]) -> str:
    """Change what stands around the parts that `kept`, a pattern in parentheses, finds."""
    parts = kept.split(text)  # every second one was found
    return "".join(part if at % 2 else change(part) for at, part in enumerate(parts))
