"""All that is in an account, as one value: two runs left the same when these are equal.

Asked of the services themselves, not of our providers, so that what a provider overlooks is seen here. Left out is
what differs between equal accounts: times, ids by chance, and the numbers that count messages.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import ClientError

Snapshot = dict[str, Any]
Client = Callable[[str], Any]

_PASSING = {
    *("ResponseMetadata", "LastModified", "CreationDate", "CreationDateTime", "CreateDate", "UUID"),
    *(
        "CreatedTimestamp",
        "LastModifiedTimestamp",
        "RevisionId",
        "RoleId",
        "TableId",
        "creationTime",
    ),
    *("storedBytes", "StateUpdatedTimestamp", "AlarmConfigurationUpdatedTimestamp", "StateReason"),
    *("StateReasonData", "StateValue", "StateTransitionedTimestamp", "LatestRestorableDateTime"),
    *("EarliestRestorableDateTime", "LastUpdateToPayPerRequestDateTime", "PolicyRevisionId"),
    *("SubscriptionArn", "CreationTime", "LastModifiedTime", "ItemCount", "TableSizeBytes", "Size"),
    *("StateTransitionReason", "LastProcessingResult", "RoleLastUsed", "IndexSizeBytes", "State"),
    *("TableStatus", "IndexStatus", "LatestStreamLabel", "RuntimeVersionConfig", "NextToken"),
    *("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "LastModifiedDate"),
    *("ApproximateNumberOfMessagesDelayed", "SubscriptionsPending", "LastUpdateStatus"),
    *("SubscriptionsConfirmed", "SubscriptionsDeleted", "HostId", "RequestId", "CodeSize"),
    *("StateReasonCode", "LastUpdateStatusReason", "LastUpdateStatusReasonCode", "ConfigSha256"),
}
_CHANCE = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\d{8}T\d{6}Z(-[0-9a-f]{4})?"
)


def snapshot(client: Client) -> Snapshot:
    """Return what is there, by service and name."""
    found: Snapshot = {}
    for part in (_buckets, _queues, _topics, _roles, _functions, _rest):
        found |= {name: _plain(value) for name, value in part(client)}
    return found


def _buckets(client: Client) -> Iterator[tuple[str, Any]]:
    s3 = client("s3")
    for bucket in s3.list_buckets()["Buckets"]:
        name = bucket["Name"]
        for ask in (
            *("versioning", "tagging", "lifecycle_configuration", "encryption", "policy", "cors"),
            *("notification_configuration", "ownership_controls"),
        ):
            call = getattr(s3, f"get_bucket_{ask}")
            yield f"bucket {name} {ask}", _asked(call, Bucket=name)
        block = _asked(s3.get_public_access_block, Bucket=name)
        yield f"bucket {name} private", block
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=name)
        keys = [it["Key"] for page in pages for it in page.get("Contents", ())]
        yield f"bucket {name} objects", sorted(key for key in keys if not _passes(key))
        unfinished = s3.list_multipart_uploads(Bucket=name).get("Uploads", ())
        yield f"bucket {name} unfinished", sorted(it["Key"] for it in unfinished)


def _passes(key: str) -> bool:
    """Tell what says nothing of the state: a version that was published by a killed `up` may be published once
    more, and a dead process's lease lies there until it is taken over.
    """
    return key.startswith(("ops/versions/", "ops/lease.json"))


def _queues(client: Client) -> Iterator[tuple[str, Any]]:
    sqs = client("sqs")
    for url in sqs.list_queues().get("QueueUrls", ()):
        told = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        tags = sqs.list_queue_tags(QueueUrl=url).get("Tags")
        yield f"queue {url.rpartition('/')[2]}", (told, tags)


def _topics(client: Client) -> Iterator[tuple[str, Any]]:
    sns = client("sns")
    for topic in sns.list_topics()["Topics"]:
        arn = topic["TopicArn"]
        told = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
        tags = sns.list_tags_for_resource(ResourceArn=arn)["Tags"]
        yield f"topic {arn.rpartition(':')[2]}", (told, _sorted(tags))
    every = sns.list_subscriptions()["Subscriptions"]
    for it in every:
        arn = it["SubscriptionArn"]
        told = _asked(sns.get_subscription_attributes, SubscriptionArn=arn)
        name = f"{it['TopicArn'].rpartition(':')[2]} {it['Protocol']} {it['Endpoint']}"
        same = sum(
            (it["TopicArn"], it["Protocol"], it["Endpoint"])
            == (each["TopicArn"], each["Protocol"], each["Endpoint"])
            for each in every
        )
        yield f"subscription {name}", (told, same)


def _roles(client: Client) -> Iterator[tuple[str, Any]]:
    iam = client("iam")
    for role in iam.list_roles()["Roles"]:
        name = role["RoleName"]
        own = iam.list_role_policies(RoleName=name)["PolicyNames"]
        policies = {
            it: iam.get_role_policy(RoleName=name, PolicyName=it)["PolicyDocument"] for it in own
        }
        tags = _asked(iam.list_role_tags, RoleName=name).get("Tags")
        yield f"role {name}", (role.get("AssumeRolePolicyDocument"), policies, tags)


def _functions(client: Client) -> Iterator[tuple[str, Any]]:
    functions = client("lambda")
    for it in functions.list_functions()["Functions"]:
        name = it["FunctionName"]
        for ask in (
            *("get_function_configuration", "get_policy", "get_function_event_invoke_config"),
            *("get_function_concurrency", "get_function_url_config"),
        ):
            call = getattr(functions, ask)
            yield f"function {name} {ask}", _asked(call, FunctionName=name)
        tags = _asked(functions.list_tags, Resource=it["FunctionArn"]).get("Tags")
        yield f"function {name} tags", tags
    for it in functions.list_event_source_mappings()["EventSourceMappings"]:
        yield f"mapping {it['EventSourceArn']} {it['FunctionArn']}", it


def _rest(client: Client) -> Iterator[tuple[str, Any]]:
    for group in client("logs").describe_log_groups()["logGroups"]:
        yield f"log group {group['logGroupName']}", group
    cloudwatch = client("cloudwatch")
    for alarm in cloudwatch.describe_alarms()["MetricAlarms"]:
        yield f"alarm {alarm['AlarmName']}", alarm
    for board in cloudwatch.list_dashboards().get("DashboardEntries", ()):
        name = board["DashboardName"]
        body = cloudwatch.get_dashboard(DashboardName=name)["DashboardBody"]
        yield f"dashboard {name}", json.loads(body)
    dynamodb = client("dynamodb")
    for name in dynamodb.list_tables()["TableNames"]:
        told = dynamodb.describe_table(TableName=name)["Table"]
        for ask in ("describe_time_to_live", "describe_continuous_backups"):
            call = getattr(dynamodb, ask)
            yield f"table {name} {ask}", _asked(call, TableName=name)
        tags = _asked(dynamodb.list_tags_of_resource, ResourceArn=told["TableArn"])
        yield f"table {name}", (told, tags)
    events = client("events")
    for rule in _asked(events.list_rules).get("Rules", ()):
        targets = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
        yield f"rule {rule['Name']}", (rule, targets)


def _asked(ask: Callable[..., Any], **about: str) -> Any:
    """Return the answer; that there is none of it is an answer, too."""
    try:
        return ask(**about)
    except ClientError as error:
        return {"none": error.response["Error"]["Code"]}


def _sorted(tags: list[dict[str, str]]) -> list[dict[str, str]]:
    return sorted(tags, key=lambda tag: tag["Key"])


def _plain(value: Any) -> Any:
    """Return a value without what differs by chance; a policy in text is read, and lists of values are sorted."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in sorted(value.items()) if name not in _PASSING}
    if isinstance(value, list | tuple):
        made = [_plain(each) for each in value]
        if not all(isinstance(each, dict) for each in made):
            return made
        # Once each: of a tag or a statement that is given again, where its answer was lost, moto keeps two.
        return [each for _, each in sorted({repr(each): each for each in made}.items())]
    if isinstance(value, str) and value.startswith("{"):
        return _plain(json.loads(value))
    return _CHANCE.sub("CHANCE", str(value))


def differences(one: Snapshot, other: Snapshot) -> list[str]:
    """Return what differs, a line each, for a test's message."""
    told = [f"only in the first: {name}" for name in sorted(one.keys() - other.keys())]
    told += [f"only in the second: {name}" for name in sorted(other.keys() - one.keys())]
    both = sorted(one.keys() & other.keys())
    return told + [each for name in both for each in _within(name, one[name], other[name])]


def _within(name: str, one: Any, other: Any) -> Iterator[str]:
    """Yield what differs between two values, as deep as both have the same parts."""
    if isinstance(one, dict) and isinstance(other, dict):
        for part in sorted(one.keys() | other.keys()):
            yield from _within(f"{name} {part}", one.get(part), other.get(part))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, (each, another) in enumerate(zip(one, other, strict=True)):
            yield from _within(f"{name} {number}", each, another)
    elif one != other:
        yield f"{name}: {one!r} against {other!r}"
