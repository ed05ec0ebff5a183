"""EventBridge: a rule on the account's default bus, with its one target.

All of ours are read by the beginning of their names, as alarms are; one that isn't declared only if it carries our
tags. A rule can't be deleted while it has targets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from imgpipe.deploy.providers.documents import settled
from imgpipe.deploy.providers.site import Site, found, gone, last
from imgpipe.deploy.resources import EventRule, Key
from imgpipe.errors import CloudError

TARGET = "branch"


class EventRules:
    def __init__(self, site: Site) -> None:
        self._site, self._events = site, site.client("events")

    def read(self, anchor: str, declared: Mapping[Key, EventRule]) -> Iterable[EventRule]:
        for page in self._events.get_paginator("list_rules").paginate(NamePrefix=anchor):
            for there in page["Rules"]:
                wanted = declared.get(Key("event_rule", there["Name"]))
                if wanted or self._is_tagged(there["Arn"]):
                    yield self._rule(there, wanted)

    def create(self, wanted: EventRule) -> None:
        if found(lambda: self._events.describe_rule(Name=wanted.name)) is None:
            self._events.put_rule(
                Name=wanted.name, EventPattern=wanted.pattern, Tags=self._site.tag_list
            )
        self.update(wanted, wanted)

    def update(self, wanted: EventRule, _before: EventRule) -> None:
        self._events.put_rule(Name=wanted.name, EventPattern=wanted.pattern, State="ENABLED")
        place = self._site.place
        target = {
            "Id": TARGET,
            "Arn": place.target_arn(wanted.target),
            "DeadLetterConfig": {"Arn": place.queue_arn(wanted.dlq)},
        }
        answer = self._events.put_targets(Rule=wanted.name, Targets=[target])
        if answer.get("FailedEntryCount"):
            why = answer["FailedEntries"][0].get("ErrorMessage", "no reason was given")
            raise CloudError(str(wanted.key), why, hint="imgpipe up")

    def delete(self, before: EventRule) -> None:
        targets = found(lambda: self._targets(before.name)) or []
        if targets:
            ids = [target["Id"] for target in targets]
            gone(lambda: self._events.remove_targets(Rule=before.name, Ids=ids))
        gone(lambda: self._events.delete_rule(Name=before.name))

    def _rule(self, there: dict[str, Any], wanted: EventRule | None) -> EventRule:
        targets = found(lambda: self._targets(there["Name"])) or []
        target = targets[0] if len(targets) == 1 else {}
        arn = target.get("Arn", "")
        return EventRule(
            name=there["Name"],
            pattern=settled(there.get("EventPattern"), wanted.pattern if wanted else ""),
            target=Key("queue" if ":sqs:" in arn else "function", last(arn)),
            dlq=last(target.get("DeadLetterConfig", {}).get("Arn", "")),
            enabled=there.get("State", "ENABLED") == "ENABLED",
        )

    def _targets(self, name: str) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = self._events.list_targets_by_rule(Rule=name)["Targets"]
        return listed

    def _is_tagged(self, arn: str) -> bool:
        answer = found(lambda: self._events.list_tags_for_resource(ResourceARN=arn)) or {}
        return self._site.owns({tag["Key"]: tag["Value"] for tag in answer.get("Tags", ())})
