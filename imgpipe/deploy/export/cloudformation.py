"""The graph as one CloudFormation template, for those who deploy with stacks.

The template works in any account and Region: both stay pseudo parameters, which names and policies are made of
(`Fn::Sub`). Dependencies are written out (`DependsOn`) because resources name one another by ARN, as everywhere here.
The functions' code is not in it: `imgpipe package --to s3://BUCKET/PREFIX` puts it where the parameters CodeBucket and
CodeVersion point. Buckets and table are retained when the stack goes, as `imgpipe down` keeps them.

Two things differ from `up`: CloudFormation chooses the ids of permissions and notification entries, and a bucket's
notification document belongs to the stack alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, assert_never

from imgpipe.deploy import resources as r
from imgpipe.deploy.export import ids, others, shared
from imgpipe.deploy.names import URL_OUTPUT
from imgpipe.deploy.providers.events import TARGET
from imgpipe.deploy.providers.iam import PATH, POLICY_NAME
from imgpipe.deploy.providers.lambda_triggers import granted
from imgpipe.deploy.providers.lambda_url import cors
from imgpipe.deploy.providers.s3 import ABORT_RULE, NONCURRENT_RULE, cors_rule
from imgpipe.runtime.settings import CODE_HASH_VARIABLE

if TYPE_CHECKING:
    from imgpipe.deploy.graph import Graph

Properties = dict[str, Any]
Part = tuple[str, str, Properties]
"""What is added to the logical id, the type, the properties."""

ACCOUNT, REGION = "${AWS::AccountId}", "${AWS::Region}"
INLINE_BYTES = 51_200
"""CloudFormation takes a larger template from S3 only."""
_PSEUDO = re.compile(r"(\$\{AWS::(?:AccountId|Region|Partition)\})")


class _AsItIs(dict[str, Any]):
    """An intrinsic function that is written already."""


def template(graph: Graph, code_version: str) -> dict[str, Any]:
    """Return the template of `graph`, which was built for ACCOUNT and REGION. `code_version` becomes a default."""
    maker = _Maker(graph)
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"imgpipe: {graph.pipeline} in {graph.environment}",
        "Parameters": _parameters(code_version),
        "Resources": dict(maker.resources()),
        "Outputs": {
            **{
                _camel(name): {"Value": _substituted(value)}
                for name, value in graph.outputs().items()
            },
            **maker.addresses(),
        },
    }


def text(graph: Graph, code_version: str) -> str:
    return json.dumps(template(graph, code_version), indent=1, ensure_ascii=False) + "\n"


def _parameters(code_version: str) -> dict[str, Any]:
    return {
        "CodeBucket": {
            "Type": "String",
            "Description": shared.CODE_BUCKET,
            "MinLength": 3,
        },
        "CodeVersion": {
            "Type": "String",
            "Description": shared.CODE_VERSION,
            "Default": code_version,
            "MinLength": 1,
        },
    }


class _Maker:
    """Turns resources into entries of the template. `_ids` maps each key to its logical ids, the main one first."""

    def __init__(self, graph: Graph) -> None:
        self._graph, self._place = graph, graph.place
        self._notifications = {one.bucket: one for one in graph.of(r.Notification)}
        self._logical = ids.unique(
            (key, "".join(word[:1].upper() + word[1:] for word in ids.words(graph, key)))
            for key in graph.resources
        )

    def resources(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for resource in self._graph.resources.values():
            for ending, kind, properties in self._parts(resource):
                name = self._logical[resource.key] + ending
                entry = {"Type": kind, "Properties": _substituted(properties)}
                yield name, {**entry, **self._around(resource, ending)}

    def addresses(self) -> dict[str, Any]:
        """Return as outputs what AWS makes up."""
        return {
            _camel(URL_OUTPUT): {"Value": {"Fn::GetAtt": [self._logical[url.key], "FunctionUrl"]}}
            for url in self._graph.of(r.FunctionUrl)
        }

    def _around(self, resource: r.Resource, ending: str) -> dict[str, Any]:
        """Return what stands beside the properties: what goes first, and what stays when the stack goes."""
        fate = {} if ending else _fate(resource)
        if ending:  # a policy; a queue's refers to its queue already
            first = [] if isinstance(resource, r.Queue) else [self._logical[resource.key]]
        else:
            first = self._first(resource)
        return {**fate, **({"DependsOn": first} if first else {})}

    def _first(self, resource: r.Resource) -> list[str]:
        needs = list(resource.needs)
        if isinstance(resource, r.Bucket) and resource.name in self._notifications:
            needs += [
                key for key in self._notifications[resource.name].needs if key != resource.key
            ]
        parts = {name: None for need in needs for name in self._ids(need)}
        return list(parts)

    def _ids(self, key: r.Key) -> Iterator[str]:
        """Yield the logical ids of all that `key` consists of."""
        for ending, _, _ in self._parts(self._graph.resources[key]):
            yield self._logical[key] + ending

    def _parts(self, resource: r.Resource) -> Iterator[Part]:  # noqa: C901, PLR0912 - one case a kind
        match resource:
            case r.Bucket():
                yield from self._bucket(resource)
            case r.ExistingBucket():
                raise others.refusal(resource.name, "CloudFormation")
            case r.Topic():
                yield from self._topic(resource)
            case r.Queue():
                yield from self._queue(resource)
            case r.Table():
                yield "", "AWS::DynamoDB::Table", self._table(resource)
            case r.LogGroup():
                yield "", "AWS::Logs::LogGroup", self._log_group(resource)
            case r.Role():
                yield "", "AWS::IAM::Role", self._role(resource)
            case r.Function():
                yield "", "AWS::Lambda::Function", self._function(resource)
            case r.AsyncInvoke():
                yield "", "AWS::Lambda::EventInvokeConfig", self._async_invoke(resource)
            case r.Permission():
                granting = {"FunctionName": resource.function, **granted(resource)}
                yield "", "AWS::Lambda::Permission", granting
            case r.FunctionUrl():
                yield "", "AWS::Lambda::Url", self._url(resource)
            case r.Mapping():
                yield "", "AWS::Lambda::EventSourceMapping", self._mapping(resource)
            case r.Subscription():
                yield "", "AWS::SNS::Subscription", self._subscription(resource)
            case r.EventRule():
                yield "", "AWS::Events::Rule", self._event_rule(resource)
            case r.Notification():
                return  # part of its bucket
            case r.Alarm():
                yield "", "AWS::CloudWatch::Alarm", self._alarm(resource)
            case r.Dashboard():
                body = {"DashboardName": resource.name, "DashboardBody": resource.body}
                yield "", "AWS::CloudWatch::Dashboard", body
            case _:
                assert_never(resource)

    @property
    def _tags(self) -> list[dict[str, str]]:
        return [{"Key": key, "Value": value} for key, value in self._graph.tags.items()]

    def _bucket(self, one: r.Bucket) -> Iterator[Part]:
        notified = self._notifications.get(one.name)
        properties: Properties = {
            "BucketName": one.name,
            "PublicAccessBlockConfiguration": dict.fromkeys(
                (
                    "BlockPublicAcls",
                    "BlockPublicPolicy",
                    "IgnorePublicAcls",
                    "RestrictPublicBuckets",
                ),
                True,
            ),
            "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
            "BucketEncryption": {
                "ServerSideEncryptionConfiguration": [
                    {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
                ]
            },
            "LifecycleConfiguration": {"Rules": _lifecycle(one)},
            "Tags": self._tags,
        }
        if one.versioning:
            properties["VersioningConfiguration"] = {"Status": "Enabled"}
        if one.origins:
            properties["CorsConfiguration"] = {"CorsRules": [_cors(one)]}
        if notified:
            properties["NotificationConfiguration"] = self._notification(notified)
        yield "", "AWS::S3::Bucket", properties
        policy = {"Bucket": one.name, "PolicyDocument": json.loads(one.policy)}
        yield "Policy", "AWS::S3::BucketPolicy", policy

    def _notification(self, one: r.Notification) -> Properties:
        lists: dict[str, list[Properties]] = {}
        for rule in one.rules:
            name, field = _DESTINATIONS[rule.target.kind]
            tests = [
                {"Name": test, "Value": value}
                for test, value in (("prefix", rule.prefix), ("suffix", rule.suffix))
                if value
            ]
            filtered = {"Filter": {"S3Key": {"Rules": tests}}} if tests else {}
            target = self._place.target_arn(rule.target)
            lists.setdefault(name, []).extend(
                {"Event": event, field: target, **filtered} for event in rule.events
            )
        told = {"EventBridgeConfiguration": {"EventBridgeEnabled": True}} if one.eventbridge else {}
        return {**lists, **told}

    def _event_rule(self, one: r.EventRule) -> Properties:
        target = {
            "Id": TARGET,
            "Arn": self._place.target_arn(one.target),
            "DeadLetterConfig": {"Arn": self._place.queue_arn(one.dlq)},
        }
        return {
            "Name": one.name,
            "EventPattern": json.loads(one.pattern),
            "State": "ENABLED" if one.enabled else "DISABLED",
            "Targets": [target],
            "Tags": self._tags,
        }

    def _topic(self, one: r.Topic) -> Iterator[Part]:
        shown = {"DisplayName": one.display_name} if one.display_name else {}
        yield "", "AWS::SNS::Topic", {"TopicName": one.name, **shown, "Tags": self._tags}
        arn = self._place.topic_arn(one.name)
        policy = {"Topics": [arn], "PolicyDocument": json.loads(one.policy)}
        yield "Policy", "AWS::SNS::TopicPolicy", policy

    def _queue(self, one: r.Queue) -> Iterator[Part]:
        properties: Properties = {
            "QueueName": one.name,
            "VisibilityTimeout": one.visibility_s,
            "MessageRetentionPeriod": one.retention_s,
            "ReceiveMessageWaitTimeSeconds": one.receive_wait_s,
            "SqsManagedSseEnabled": True,
            "Tags": self._tags,
        }
        if one.dlq:
            properties["RedrivePolicy"] = shared.redrive(self._place, one.dlq, one.max_receives)
        yield "", "AWS::SQS::Queue", properties
        policy = {
            "Queues": [_AsItIs({"Ref": self._logical[one.key]})],
            "PolicyDocument": json.loads(one.policy),
        }
        yield "Policy", "AWS::SQS::QueuePolicy", policy

    def _table(self, one: r.Table) -> Properties:
        indexes = [
            {
                "IndexName": index.name,
                "KeySchema": _key_schema(index.hash_key, index.range_key),
                "Projection": {"ProjectionType": "ALL"},
            }
            for index in one.indexes
        ]
        ttl = {"AttributeName": one.ttl_attribute, "Enabled": True}
        return {
            "TableName": one.name,
            "KeySchema": _key_schema(one.hash_key, one.range_key),
            "AttributeDefinitions": [
                {"AttributeName": name, "AttributeType": "S"} for name in shared.key_names(one)
            ],
            "BillingMode": "PAY_PER_REQUEST",
            "DeletionProtectionEnabled": one.deletion_protection,
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": one.recovery},
            **({"GlobalSecondaryIndexes": indexes} if indexes else {}),
            **({"TimeToLiveSpecification": ttl} if one.ttl_attribute else {}),
            "Tags": self._tags,
        }

    def _log_group(self, one: r.LogGroup) -> Properties:
        return {"LogGroupName": one.name, "RetentionInDays": one.retention_days, "Tags": self._tags}

    def _role(self, one: r.Role) -> Properties:
        return {
            "RoleName": one.name,
            "Path": PATH,
            "AssumeRolePolicyDocument": json.loads(one.trust),
            "Policies": [{"PolicyName": POLICY_NAME, "PolicyDocument": json.loads(one.policy)}],
            "Tags": self._tags,
        }

    def _function(self, one: r.Function) -> Properties:
        reserved = one.reserved_concurrency
        return {
            "FunctionName": one.name,
            "Role": self._place.role_arn(one.role),
            "Code": {
                "S3Bucket": _AsItIs({"Ref": "CodeBucket"}),
                "S3Key": _AsItIs({"Fn::Sub": f"${{CodeVersion}}/{one.source}.zip"}),
            },
            "Handler": one.handler,
            "Runtime": one.runtime,
            "Architectures": [one.architecture],
            "MemorySize": one.memory_mb,
            "Timeout": one.timeout_s,
            "EphemeralStorage": {"Size": one.tmp_mb},
            "Environment": {
                "Variables": {**dict(one.environment), CODE_HASH_VARIABLE: one.code_hash}
            },
            "LoggingConfig": {"LogFormat": "Text", "LogGroup": one.log_group},
            **({"ReservedConcurrentExecutions": reserved} if reserved is not None else {}),
            "Tags": self._tags,
        }

    def _async_invoke(self, one: r.AsyncInvoke) -> Properties:
        worked = {"OnSuccess": {"Destination": one.on_success}} if one.on_success else {}
        return {
            "FunctionName": one.function,
            "Qualifier": "$LATEST",
            "MaximumRetryAttempts": one.retries,
            "MaximumEventAgeInSeconds": one.max_age_s,
            "DestinationConfig": {
                "OnFailure": {"Destination": self._place.queue_arn(one.on_failure)},
                **worked,
            },
        }

    def _url(self, one: r.FunctionUrl) -> Properties:
        shared = {"Cors": cors(one.origins)} if one.origins else {}
        return {"TargetFunctionArn": one.function, "AuthType": one.auth, **shared}

    def _mapping(self, one: r.Mapping) -> Properties:
        limit = {"ScalingConfig": {"MaximumConcurrency": one.max_concurrency}}
        filters = {"FilterCriteria": {"Filters": [{"Pattern": it} for it in one.filters]}}
        return {
            "EventSourceArn": self._place.queue_arn(one.queue),
            "FunctionName": one.function,
            "BatchSize": one.batch,
            "MaximumBatchingWindowInSeconds": one.window_s,
            "FunctionResponseTypes": ["ReportBatchItemFailures"] if one.reports_failures else [],
            "Enabled": one.enabled,
            **(limit if one.max_concurrency else {}),
            **(filters if one.filters else {}),
            "Tags": self._tags,
        }

    def _subscription(self, one: r.Subscription) -> Properties:
        properties: Properties = {
            "TopicArn": self._place.topic_arn(one.topic),
            "Protocol": one.protocol,
            "Endpoint": shared.endpoint(self._place, one),
        }
        if one.dlq:
            properties["RedrivePolicy"] = shared.redrive(self._place, one.dlq)
        if one.filter_policy:
            properties["FilterPolicy"] = json.loads(one.filter_policy)
            if one.filter_scope == "body":
                properties["FilterPolicyScope"] = "MessageBody"
        return properties

    def _alarm(self, one: r.Alarm) -> Properties:
        topic = self._place.topic_arn(one.action)
        return {
            "AlarmName": one.name,
            "AlarmDescription": one.description,
            "Namespace": one.namespace,
            "MetricName": one.metric,
            "Dimensions": [{"Name": name, "Value": value} for name, value in one.dimensions],
            "Statistic": one.statistic,
            "Period": one.period_s,
            "EvaluationPeriods": one.evaluation_periods,
            "DatapointsToAlarm": one.datapoints_to_alarm,
            "Threshold": one.threshold,
            "ComparisonOperator": one.comparison,
            "TreatMissingData": one.treat_missing_data,
            "AlarmActions": [topic],
            "OKActions": [topic],
            "Tags": self._tags,
        }


_DESTINATIONS: Mapping[str, tuple[str, str]] = {
    "topic": ("TopicConfigurations", "Topic"),
    "queue": ("QueueConfigurations", "Queue"),
    "function": ("LambdaConfigurations", "Function"),
}


def _fate(resource: r.Resource) -> dict[str, str]:
    """Say what becomes of what holds state when the stack goes, as `imgpipe down` does."""
    match resource:
        case r.Bucket() | r.Table():
            return {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
        case r.Queue() | r.LogGroup():
            return {"DeletionPolicy": "Delete", "UpdateReplacePolicy": "Delete"}
        case _:
            return {}


def _cors(one: r.Bucket) -> Properties:
    rule = cors_rule(one.origins)
    return {
        "Id": rule["ID"],
        "AllowedHeaders": rule["AllowedHeaders"],
        "AllowedMethods": rule["AllowedMethods"],
        "AllowedOrigins": rule["AllowedOrigins"],
        "ExposedHeaders": rule["ExposeHeaders"],
        "MaxAge": rule["MaxAgeSeconds"],
    }


def _lifecycle(one: r.Bucket) -> Sequence[Properties]:
    rules: list[Properties] = [
        {
            "Id": ABORT_RULE,
            "Status": "Enabled",
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": one.abort_multipart_days},
        }
    ]
    if one.noncurrent_days is not None:
        kept = {"NoncurrentDays": one.noncurrent_days}
        rules.append(
            {"Id": NONCURRENT_RULE, "Status": "Enabled", "NoncurrentVersionExpiration": kept}
        )
    return rules


def _key_schema(hash_key: str, range_key: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": hash_key, "KeyType": "HASH"},
        {"AttributeName": range_key, "KeyType": "RANGE"},
    ]


def _camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def _substituted(value: Any) -> Any:
    """Put every text that names the account, Region or partition into Fn::Sub; other `${` stay what they are."""
    if isinstance(value, _AsItIs):
        return dict(value)
    return shared.each_text(value, _text, _substituted)


def _text(value: str) -> Any:
    if not _PSEUDO.search(value):
        return value
    return {"Fn::Sub": shared.around(_PSEUDO, value, lambda part: part.replace("${", "${!"))}
