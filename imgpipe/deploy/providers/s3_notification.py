"""Our entries in a bucket's notification document.

S3 knows the document only as a whole and offers no compare-and-set, so a change is read, merge, put, read back: until
our entries stand there as we put them. Entries whose id doesn't begin with our prefix are someone else's and are kept;
but what says the very same as a rule of ours is ours, whoever wrote it: a CloudFormation stack can't choose ids, and S3
would refuse a second one.
S3 also checks every destination when the document is put, and may not yet have heard of a policy that we just set.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from imgpipe.deploy.providers.site import Site, found, last, message
from imgpipe.deploy.resources import Key, Kind, Notification, Rule
from imgpipe.errors import CloudError

Document = dict[str, Any]
Meaning = tuple[Key, str, str, frozenset[str]]
"""What a rule says: target, prefix, suffix, events; all but its id."""

_LISTS: dict[str, tuple[Kind, str]] = {
    "TopicConfigurations": ("topic", "TopicArn"),
    "QueueConfigurations": ("queue", "QueueArn"),
    "LambdaFunctionConfigurations": ("function", "LambdaFunctionArn"),
}
EVENTBRIDGE = "EventBridgeConfiguration"
ATTEMPTS = 5


class Notifications:
    def __init__(self, site: Site) -> None:
        self._site, self._s3 = site, site.client("s3")

    def read(self, anchor: str, declared: Mapping[Key, Notification]) -> Iterable[Notification]:
        wanted = declared.get(Key("notification", anchor))
        document = found(lambda: self._document(anchor)) if wanted else None
        if wanted is None or document is None:
            return
        rules = ours(document, wanted)
        told = wanted.eventbridge and EVENTBRIDGE in document
        if rules or told:
            yield Notification(
                bucket=anchor,
                id_prefix=wanted.id_prefix,
                rules=rules,
                eventbridge=told,
                waits_for=wanted.waits_for,
            )

    def create(self, wanted: Notification) -> None:
        for _ in range(ATTEMPTS):
            document = self._document(wanted.bucket)
            if _stands(document, wanted):
                return
            self._put(wanted.bucket, merged(document, wanted, self._site.place.target_arn))
        if not _stands(self._document(wanted.bucket), wanted):
            raise CloudError(
                f"notifications of bucket {wanted.bucket}",
                "another program keeps replacing them",
                hint="find what else writes this bucket's notifications, then imgpipe up",
            )

    def update(self, wanted: Notification, _before: Notification) -> None:
        self.create(wanted)

    def delete(self, before: Notification) -> None:
        document = found(lambda: self._document(before.bucket))
        if document is not None and ours(document, before):
            self._s3.put_bucket_notification_configuration(
                Bucket=before.bucket,
                NotificationConfiguration=foreign(document, before),
                SkipDestinationValidation=True,
            )

    def _document(self, bucket: str) -> Document:
        answer = dict(self._s3.get_bucket_notification_configuration(Bucket=bucket))
        answer.pop("ResponseMetadata", None)
        return answer

    def _put(self, bucket: str, document: Document) -> None:
        self._site.patiently(
            lambda: self._s3.put_bucket_notification_configuration(
                Bucket=bucket, NotificationConfiguration=document
            ),
            _not_yet_allowed,
            "S3 can't reach a destination yet: trying again",
        )


def ours(document: Document, wanted: Notification) -> tuple[Rule, ...]:
    """Return our entries, sorted by id; where S3 gives a rule's events in another order, in the declared one."""
    declared = {rule.id: rule for rule in wanted.rules}
    rules = {
        rule.id: _in_order(rule, declared.get(rule.id))
        for rule in entries(document)
        if rule.id.startswith(wanted.id_prefix)
    }
    said = _said_by_others(document, wanted)
    alike = {rule.id: rule for rule in wanted.rules if _meaning(rule) in said}
    return tuple(rule for _, rule in sorted({**alike, **rules}.items()))


def foreign(document: Document, wanted: Notification) -> Document:
    """Return the document without our entries."""
    kept: Document = {name: value for name, value in document.items() if name not in _LISTS}
    said = _said_by_others(document, wanted)
    mine = {entry for rule in wanted.rules for entry in said.get(_meaning(rule), ())}
    for name in _LISTS:
        others = [
            entry
            for entry in document.get(name, ())
            if not entry.get("Id", "").startswith(wanted.id_prefix) and entry.get("Id") not in mine
        ]
        if others:
            kept[name] = others
    return kept


def _said_by_others(document: Document, wanted: Notification) -> dict[Meaning, set[str]]:
    """Return what entries of others' mean, those that differ in their events taken together, with their ids."""
    events: dict[tuple[Key, str, str], set[str]] = {}
    names: dict[tuple[Key, str, str], set[str]] = {}
    for rule in entries(document):
        if not rule.id.startswith(wanted.id_prefix):
            where = (rule.target, rule.prefix, rule.suffix)
            events.setdefault(where, set()).update(rule.events)
            names.setdefault(where, set()).add(rule.id)
    return {(*where, frozenset(events[where])): names[where] for where in events}


def _meaning(rule: Rule) -> Meaning:
    return rule.target, rule.prefix, rule.suffix, frozenset(rule.events)


def merged(document: Document, wanted: Notification, arn_of: Any) -> Document:
    """Return the document with our entries as declared, and everyone else's as they are."""
    result = foreign(document, wanted)
    for rule in wanted.rules:
        name, (_, arn_field) = next(
            (name, pair) for name, pair in _LISTS.items() if pair[0] == rule.target.kind
        )
        result.setdefault(name, []).append(_entry(rule, arn_field, arn_of(rule.target)))
    return {**result, EVENTBRIDGE: {}} if wanted.eventbridge else result


def _stands(document: Document, wanted: Notification) -> bool:
    """Whether the document says what we want. EventBridge is never switched off: it has no owner's name on it."""
    told = EVENTBRIDGE in document or not wanted.eventbridge
    return told and ours(document, wanted) == wanted.rules


def missing(document: Document, wanted: Notification) -> list[str]:
    """Return what we want to hear of and isn't announced as we want it: `topic NAME`, `EventBridge`, each once.

    Rules of ours beyond that don't matter.
    """
    said = ours(document, wanted)
    gone = dict.fromkeys(str(rule.target) for rule in wanted.rules if rule not in said)
    untold = wanted.eventbridge and EVENTBRIDGE not in document
    return [*gone, *(["EventBridge"] if untold else [])]


def _entry(rule: Rule, arn_field: str, arn: str) -> Document:
    tests = [
        {"Name": name, "Value": value}
        for name, value in (("prefix", rule.prefix), ("suffix", rule.suffix))
        if value
    ]
    entry: Document = {"Id": rule.id, arn_field: arn, "Events": list(rule.events)}
    return {**entry, "Filter": {"Key": {"FilterRules": tests}}} if tests else entry


def entries(document: Document) -> Iterator[Rule]:
    """Yield every entry as a rule, whoever wrote it."""
    for name, (kind, arn_field) in _LISTS.items():
        for entry in document.get(name, ()):
            yield _rule(entry, kind, entry[arn_field])


def _rule(entry: Document, kind: Kind, arn: str) -> Rule:
    tests = entry.get("Filter", {}).get("Key", {}).get("FilterRules", ())
    filters = {
        test["Name"].lower(): test["Value"] for test in tests
    }  # S3 answers `Prefix` to `prefix`
    return Rule(
        id=entry.get("Id", ""),
        events=tuple(sorted(entry["Events"])),
        target=Key(kind, last(arn)),
        prefix=filters.get("prefix", ""),
        suffix=filters.get("suffix", ""),
    )


def _in_order(rule: Rule, declared: Rule | None) -> Rule:
    if declared is None or set(declared.events) != set(rule.events):
        return rule
    return Rule(
        id=rule.id,
        events=declared.events,
        target=rule.target,
        prefix=rule.prefix,
        suffix=rule.suffix,
    )


def _not_yet_allowed(error: ClientError) -> bool:
    return "Unable to validate the following destination configurations" in message(error)
