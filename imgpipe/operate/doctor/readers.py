"""One reader for each kind of thing: all that the checks want to know of it, and nothing that changes it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from imgpipe.deploy.providers.site import last
from imgpipe.operate.bus import hears
from imgpipe.operate.doctor import logs, policy
from imgpipe.operate.doctor.scene import Bucket, BusRule, Function, Queue, Rule, Table, Topic
from imgpipe.operate.parallel import together

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from imgpipe.deploy.resources import Place
    from imgpipe.operate.doctor.asking import Asking

_RULES = {
    "TopicConfigurations": "TopicArn",
    "QueueConfigurations": "QueueArn",
    "LambdaFunctionConfigurations": "LambdaFunctionArn",
}
PAGE = 1000
SAMPLES = 50


def bucket(asking: Asking, name: str) -> Bucket:
    s3 = asking.client("s3")

    def ask(what: str, verb: Any, **more: Any) -> Any:
        return asking.ask(f"{what} of bucket {name}", partial(verb, Bucket=name, **more))

    document = ask("notifications", s3.get_bucket_notification_configuration)
    if document is None:
        return Bucket(name=name, missing=True)
    rules, told = tuple(_rules(document)), "EventBridgeConfiguration" in document
    prefixes = {unquote_plus(rule.prefix) for rule in rules if rule.creates} or {""}
    versioning, lifecycle, versions, unfinished, *pages = together(
        partial(ask, "versioning", s3.get_bucket_versioning),
        partial(ask, "lifecycle", s3.get_bucket_lifecycle_configuration),
        partial(ask, "versions", s3.list_object_versions, MaxKeys=PAGE),
        partial(ask, "unfinished uploads", s3.list_multipart_uploads, MaxUploads=PAGE),
        *(partial(ask, "keys", s3.list_objects_v2, Prefix=it, MaxKeys=PAGE) for it in prefixes),
    )
    replaced = [it for it in (versions or {}).get("Versions", ()) if not it["IsLatest"]]
    begun = (unfinished or {}).get("Uploads", ())
    return Bucket(
        name=name,
        rules=rules,
        eventbridge=told,
        bus=tuple(bus(asking, name)) if told else (),
        versioned=(versioning or {}).get("Status") == "Enabled",
        lifecycle=tuple((lifecycle or {}).get("Rules", ())),
        keys=tuple(it["Key"] for page in pages for it in (page or {}).get("Contents", ())),
        noncurrent=len(replaced),
        noncurrent_bytes=sum(it["Size"] for it in replaced),
        unfinished=len(begun),
        oldest_unfinished=min((it["Initiated"] for it in begun), default=None),
    )


def _rules(document: Mapping[str, Any]) -> Iterator[Rule]:
    for name, field in _RULES.items():
        for entry in document.get(name, ()):
            tests = entry.get("Filter", {}).get("Key", {}).get("FilterRules", ())
            filters = {test["Name"].lower(): test["Value"] for test in tests}
            yield Rule(
                id=entry.get("Id", ""),
                events=tuple(entry["Events"]),
                target=entry[field],
                prefix=filters.get("prefix", ""),
                suffix=filters.get("suffix", ""),
            )


def bus(asking: Asking, bucket: str) -> Iterator[BusRule]:
    """Yield the rules of the default event bus that hear a bucket."""
    events = asking.client("events")
    pages = events.get_paginator("list_rules")
    listed = asking.ask(
        "rules of EventBridge", lambda: [one for page in pages.paginate() for one in page["Rules"]]
    )
    for rule in listed or ():
        if not hears(rule, bucket):
            continue
        answer = asking.ask(
            f"rule {rule['Name']}",
            lambda name=rule["Name"]: events.list_targets_by_rule(Rule=name)["Targets"],  # type: ignore[misc]
        )
        targets = answer or ()
        yield BusRule(
            arn=rule["Arn"],
            enabled=rule.get("State", "ENABLED") != "DISABLED",
            targets=tuple(one["Arn"] for one in targets if not one.get("RoleArn")),
            dlqs=tuple(
                one["DeadLetterConfig"]["Arn"]
                for one in targets
                if one.get("DeadLetterConfig", {}).get("Arn")
            ),
        )


def topic(asking: Asking, arn: str) -> Topic:
    sns, what = asking.client("sns"), f"topic {last(arn)}"
    answer = asking.ask(what, lambda: sns.get_topic_attributes(TopicArn=arn))
    if answer is None:
        return Topic(arn=arn, missing=True)
    pages = sns.get_paginator("list_subscriptions_by_topic")
    listed = asking.ask(
        f"subscriptions of {what}",
        lambda: [one for page in pages.paginate(TopicArn=arn) for one in page["Subscriptions"]],
    )
    return Topic(
        arn=arn,
        policy=policy.parse(answer["Attributes"].get("Policy")),
        subscriptions=tuple(
            together(*(partial(_subscription, asking, one) for one in listed or ()))
        ),
    )


def _subscription(asking: Asking, listed: Mapping[str, Any]) -> Mapping[str, Any]:
    arn = listed["SubscriptionArn"]
    if not arn.startswith("arn:"):
        return listed
    sns = asking.client("sns")
    answer = asking.ask(
        f"a subscription of topic {last(listed['TopicArn'])}",
        lambda: sns.get_subscription_attributes(SubscriptionArn=arn),
    )
    return {**(answer or {}).get("Attributes", {}), **listed}


def queue(asking: Asking, place: Place, arn: str) -> Queue:
    sqs, url, what = asking.client("sqs"), place.queue_url(last(arn)), f"queue {last(arn)}"
    answer = asking.ask(
        what, lambda: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    )
    if answer is None:
        return Queue(arn=arn, missing=True)
    return Queue(
        arn=arn,
        attributes=answer["Attributes"],
        mappings=_mappings(asking, what, EventSourceArn=arn),
    )


def _mappings(asking: Asking, what: str, **by: str) -> tuple[Mapping[str, Any], ...]:
    pages = asking.client("lambda").get_paginator("list_event_source_mappings")
    answer = asking.ask(
        f"mappings of {what}",
        lambda: [one for page in pages.paginate(**by) for one in page["EventSourceMappings"]],
    )
    return tuple(one for one in answer or () if one.get("State") != "Deleting")


def function(asking: Asking, arn: str, since: datetime) -> Function:
    client, name = asking.client("lambda"), last(arn)
    what = f"function {name}"

    def ask(part: str, verb: Any) -> Any:
        return asking.ask(f"{part}{what}", partial(verb, FunctionName=name))

    there = ask("", client.get_function_configuration)
    if there is None:
        return Function(arn=arn, missing=True)
    group = there.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{name}"
    policies, chosen, concurrency, recursion, mappings, role, log = together(
        partial(ask, "the policy of ", client.get_policy),
        partial(ask, "asynchronous calls of ", client.get_function_event_invoke_config),
        partial(ask, "the concurrency of ", client.get_function_concurrency),
        partial(_recursion, asking, name),
        partial(_mappings, asking, what, FunctionName=name),
        partial(role_policies, asking, last(there["Role"])),
        partial(logs.read, asking, group, since, logs.changed_at(there)),
    )
    return Function(
        arn=arn,
        configuration=there,
        policy=policy.parse((policies or {}).get("Policy")),
        async_invoke=chosen or {},
        reserved=(concurrency or {}).get("ReservedConcurrentExecutions"),
        recursion=recursion,
        mappings=mappings,
        role_policies=role,
        log=log,
    )


def _recursion(asking: Asking, name: str) -> str:
    """Return `Allow` where Lambda's own stop of endless loops is switched off."""
    client = asking.client("lambda")
    answer = asking.ask(
        f"function {name}", lambda: client.get_function_recursion_config(FunctionName=name)
    )
    return str((answer or {}).get("RecursiveLoop", ""))


def role_policies(asking: Asking, role: str) -> Mapping[str, Mapping[str, Any]] | None:
    """Return all that the role may do, by the policies' names; None when that could not be read in whole."""
    iam, what = asking.client("iam"), f"role {role}"
    inline = asking.ask(what, lambda: iam.list_role_policies(RoleName=role)["PolicyNames"])
    attached = asking.ask(
        what, lambda: iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    )
    if inline is None or attached is None:
        return None
    reading = {name: partial(_inline, asking, role, name) for name in inline}
    for one in attached:
        reading[one["PolicyArn"]] = partial(_managed, asking, one["PolicyArn"])
    found = zip(reading, together(*reading.values()), strict=True)
    known = {name: document for name, document in found if document is not None}
    return known if len(known) == len(reading) else None


def _inline(asking: Asking, role: str, name: str) -> Mapping[str, Any] | None:
    iam = asking.client("iam")
    answer = asking.ask(f"role {role}", lambda: iam.get_role_policy(RoleName=role, PolicyName=name))
    return _document(answer["PolicyDocument"]) if answer else None


def _managed(asking: Asking, arn: str) -> Mapping[str, Any] | None:
    iam, what = asking.client("iam"), f"policy {arn.rpartition('/')[2]}"
    there = asking.ask(what, lambda: iam.get_policy(PolicyArn=arn)["Policy"])
    if there is None:
        return None
    version = there["DefaultVersionId"]
    answer = asking.ask(what, lambda: iam.get_policy_version(PolicyArn=arn, VersionId=version))
    return _document(answer["PolicyVersion"]["Document"]) if answer else None


def _document(given: Any) -> Mapping[str, Any]:
    return given if isinstance(given, dict) else policy.parse(given)


def table(asking: Asking, name: str) -> Table:
    client, what = asking.client("dynamodb"), f"table {name}"
    there = asking.ask(what, lambda: client.describe_table(TableName=name)["Table"])
    if there is None:
        return Table(name=name, missing=True)
    items = asking.ask(
        f"items of {what}", lambda: client.scan(TableName=name, Limit=SAMPLES)["Items"]
    )
    return Table(name=name, description=there, samples=tuple(items or ()))
