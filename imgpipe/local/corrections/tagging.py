"""What is tagged is found by its tag: alarms and log groups too.

Fault of stock ministack: its tagging API doesn't know the two. Roles it rightly leaves out, as AWS
does outside of IAM."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ministack.core.responses import get_region
from ministack.services import cloudwatch, cloudwatch_logs

from imgpipe.local.corrections import lazily

Tagged = Iterator[tuple[str, list[dict[str, str]]]]


def _alarms() -> Tagged:
    here = f":{get_region()}:"
    for arn, tags in cloudwatch._resource_tags.items():
        if here in arn:
            yield arn, _listed(tags)


def _log_groups() -> Tagged:
    for group in cloudwatch_logs._log_groups.values():
        yield group["arn"].removesuffix(":*"), _listed(group.get("tags") or {})


def _listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _complete(tagging: Any) -> None:
    tagging._COLLECTORS.update(cloudwatch=_alarms, logs=_log_groups)


def install() -> None:
    lazily.when_loaded("tagging", _complete)
