"""Log groups, made before their functions so that their retention holds from the first line.

The tagging API of emulators doesn't list them, so all of ours are read by the beginning of their names; a group that
isn't declared is ours only if it carries our tags.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from botocore.exceptions import ClientError

from imgpipe.cloud import error_code
from imgpipe.deploy.providers.site import Site, found, gone
from imgpipe.deploy.resources import Key, LogGroup


class LogGroups:
    def __init__(self, site: Site) -> None:
        self._site, self._logs = site, site.client("logs")

    def read(self, anchor: str, declared: Mapping[Key, LogGroup]) -> Iterable[LogGroup]:
        """Yield the groups whose names begin with `anchor`."""
        for page in self._logs.get_paginator("describe_log_groups").paginate(
            logGroupNamePrefix=anchor
        ):
            for group in page["logGroups"]:
                made = LogGroup(
                    name=group["logGroupName"], retention_days=group.get("retentionInDays", 0)
                )
                if made.key in declared or self._is_tagged(made.name):
                    yield made

    def create(self, wanted: LogGroup) -> None:
        try:
            self._logs.create_log_group(logGroupName=wanted.name, tags=dict(self._site.tags))
        except ClientError as error:
            if error_code(error) != "ResourceAlreadyExistsException":
                raise
            self._logs.tag_resource(resourceArn=self._arn(wanted.name), tags=dict(self._site.tags))
        self.update(wanted, wanted)

    def update(self, wanted: LogGroup, _before: LogGroup) -> None:
        self._logs.put_retention_policy(
            logGroupName=wanted.name, retentionInDays=wanted.retention_days
        )

    def delete(self, before: LogGroup) -> None:
        gone(lambda: self._logs.delete_log_group(logGroupName=before.name))

    def _is_tagged(self, name: str) -> bool:
        answer = found(lambda: self._logs.list_tags_for_resource(resourceArn=self._arn(name)))
        return answer is not None and self._site.owns(answer["tags"])

    def _arn(self, name: str) -> str:
        return self._site.place.log_group_arn(name)
