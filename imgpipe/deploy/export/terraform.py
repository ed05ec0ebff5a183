"""The graph in Terraform's JSON syntax, for those who plan and apply with it.

The account, the Region and where the functions' code is are variables; with `Existing`, what is up already is imported
at the first apply, so that Terraform takes it over. Resources name one another by ARN, as everywhere here, so their
order is written out (`depends_on`). Buckets and table are protected from destruction.

Left out: subscriptions of people who have not confirmed can't be imported; Terraform subscribes them once more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
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

Arguments = dict[str, Any]

ACCOUNT, REGION = "${var.account}", "${var.region}"
PROVIDER = "~> 6.25"
"""From the version on whose arguments were read."""
LATER, LATER_PROVIDER = "invoked_via_function_url", "~> 6.29"
"""What a URL for everybody needs, and the version that brought it: not read anywhere, as no package holds it."""

_VARIABLE = re.compile(r"(\$\{var\.(?:account|region|code_bucket|code_version)\})")


@dataclass(frozen=True, slots=True)
class Part:
    """A Terraform resource, and the id that an existing one is imported by; "" if it can't be."""

    type: str
    arguments: Arguments
    imported: str
    ending: str = ""


@dataclass(frozen=True, slots=True)
class Existing:
    """What is up: its keys, and the ids that AWS chose for mappings and subscriptions."""

    keys: frozenset[r.Key] = frozenset()
    ids: Mapping[r.Key, str] = field(default_factory=dict)


def document(graph: Graph, code_version: str, existing: Existing | None = None) -> dict[str, Any]:
    """Return the configuration. Without `existing` the graph was built for ACCOUNT and REGION."""
    maker = _Maker(graph, existing or Existing())
    resources = maker.resources()
    granted = resources.get("aws_lambda_permission", {}).values()
    version = LATER_PROVIDER if any(LATER in one for one in granted) else PROVIDER
    made: dict[str, Any] = {
        "terraform": {
            "required_version": ">= 1.5",
            "required_providers": {"aws": {"source": "hashicorp/aws", "version": version}},
        },
        "provider": {"aws": {"region": graph.place.region}},
        "variable": _variables(graph, code_version),
        "resource": resources,
        "output": {
            **{name: {"value": _escaped(value)} for name, value in graph.outputs().items()},
            **maker.addresses(),
        },
    }
    imports = maker.imports()
    return {**made, "import": imports} if imports else made


def text(graph: Graph, code_version: str, existing: Existing | None = None) -> str:
    return json.dumps(document(graph, code_version, existing), indent=2, ensure_ascii=False) + "\n"


def _variables(graph: Graph, code_version: str) -> dict[str, Any]:
    place = {
        "account": {"type": "string", "description": "The account's number"},
        "region": {"type": "string", "description": "The Region"},
    }
    return {
        **({} if graph.place.account != ACCOUNT else place),
        "code_bucket": {
            "type": "string",
            "description": shared.CODE_BUCKET,
        },
        "code_version": {
            "type": "string",
            "description": shared.CODE_VERSION,
            "default": code_version,
        },
    }


class _Maker:
    def __init__(self, graph: Graph, existing: Existing) -> None:
        self._graph, self._place, self._existing = graph, graph.place, existing
        self._names = ids.unique(
            (key, "_".join(ids.words(graph, key)[1:]).lower() or "all") for key in graph.resources
        )
        self._parts = {key: tuple(self._made(one)) for key, one in graph.resources.items()}

    def resources(self) -> dict[str, dict[str, Arguments]]:
        made: dict[str, dict[str, Arguments]] = {}
        for key, resource in self._graph.resources.items():
            for part in self._parts[key]:
                first = self._first(resource, part)
                order = {"depends_on": first} if first else {}
                arguments = {**_escaped(part.arguments), **order}
                made.setdefault(part.type, {})[self._name(key, part)] = arguments
        return made

    def imports(self) -> list[dict[str, str]]:
        return [
            {"to": f"{part.type}.{self._name(key, part)}", "id": part.imported}
            for key in self._graph.resources
            if key in self._existing.keys
            for part in self._parts[key]
            if part.imported
        ]

    def _name(self, key: r.Key, part: Part) -> str:
        return self._names[key] + part.ending

    def _addresses(self, key: r.Key) -> Iterator[str]:
        for part in self._parts.get(key, ()):
            yield f"{part.type}.{self._name(key, part)}"

    def _first(self, resource: r.Resource, part: Part) -> list[str]:
        """What stands before: the main part of the same resource, or all parts of what it needs."""
        main = self._parts[resource.key][0]
        if part is not main:
            return [f"{main.type}.{self._name(resource.key, main)}"]
        return [address for need in resource.needs for address in self._addresses(need)]

    def _made(self, resource: r.Resource) -> Iterator[Part]:  # noqa: C901, PLR0912 - one case a kind
        match resource:
            case r.Bucket():
                yield from self._bucket(resource)
            case r.ExistingBucket():
                raise others.refusal(resource.name, "Terraform")
            case r.Topic():
                yield from self._topic(resource)
            case r.Queue():
                yield self._queue(resource)
            case r.Table():
                yield self._table(resource)
            case r.LogGroup():
                kept = {"name": resource.name, "retention_in_days": resource.retention_days}
                yield Part("aws_cloudwatch_log_group", self._tagged(kept), resource.name)
            case r.Role():
                yield from self._role(resource)
            case r.Function():
                yield self._function(resource)
            case r.AsyncInvoke():
                yield self._async_invoke(resource)
            case r.Permission():
                yield self._permission(resource)
            case r.FunctionUrl():
                yield self._url(resource)
            case r.Mapping():
                yield self._mapping(resource)
            case r.Subscription():
                yield self._subscription(resource)
            case r.EventRule():
                yield from self._event_rule(resource)
            case r.Notification():
                yield self._notification(resource)
            case r.Alarm():
                yield self._alarm(resource)
            case r.Dashboard():
                shown = {"dashboard_name": resource.name, "dashboard_body": resource.body}
                yield Part("aws_cloudwatch_dashboard", shown, resource.name)
            case _:
                assert_never(resource)

    def _tagged(self, arguments: Arguments) -> Arguments:
        return {**arguments, "tags": dict(self._graph.tags)}

    def _bucket(self, one: r.Bucket) -> Iterator[Part]:
        guarded = {"lifecycle": {"prevent_destroy": True}}
        yield Part("aws_s3_bucket", self._tagged({"bucket": one.name, **guarded}), one.name)
        for kind, arguments in _bucket_settings(one):
            yield Part(f"aws_s3_bucket_{kind}", {"bucket": one.name, **arguments}, one.name)

    def _topic(self, one: r.Topic) -> Iterator[Part]:
        arn = self._place.topic_arn(one.name)
        shown = {"display_name": one.display_name} if one.display_name else {}
        yield Part("aws_sns_topic", self._tagged({"name": one.name, **shown}), arn)
        yield Part("aws_sns_topic_policy", {"arn": arn, "policy": one.policy}, arn)

    def _queue(self, one: r.Queue) -> Part:
        redrive = {}
        if one.dlq:
            target = shared.redrive(self._place, one.dlq, one.max_receives)
            redrive = {"redrive_policy": r.canonical(target)}
        arguments = {
            "name": one.name,
            "visibility_timeout_seconds": one.visibility_s,
            "message_retention_seconds": one.retention_s,
            "receive_wait_time_seconds": one.receive_wait_s,
            "sqs_managed_sse_enabled": True,
            "policy": one.policy,
            **redrive,
        }
        return Part("aws_sqs_queue", self._tagged(arguments), self._place.queue_url(one.name))

    def _table(self, one: r.Table) -> Part:
        indexes = [
            {
                "name": index.name,
                "hash_key": index.hash_key,
                "range_key": index.range_key,
                "projection_type": "ALL",
            }
            for index in one.indexes
        ]
        ttl = {"ttl": {"attribute_name": one.ttl_attribute, "enabled": True}}
        arguments = {
            "name": one.name,
            "billing_mode": "PAY_PER_REQUEST",
            "hash_key": one.hash_key,
            "range_key": one.range_key,
            "attribute": [{"name": name, "type": "S"} for name in shared.key_names(one)],
            "deletion_protection_enabled": one.deletion_protection,
            "point_in_time_recovery": {"enabled": one.recovery},
            **({"global_secondary_index": indexes} if indexes else {}),
            **(ttl if one.ttl_attribute else {}),
            "lifecycle": {"prevent_destroy": True},
        }
        return Part("aws_dynamodb_table", self._tagged(arguments), one.name)

    def _role(self, one: r.Role) -> Iterator[Part]:
        role = {"name": one.name, "path": PATH, "assume_role_policy": one.trust}
        yield Part("aws_iam_role", self._tagged(role), one.name)
        policy = {"name": POLICY_NAME, "role": one.name, "policy": one.policy}
        yield Part("aws_iam_role_policy", policy, f"{one.name}:{POLICY_NAME}")

    def _function(self, one: r.Function) -> Part:
        variables = {**dict(one.environment), CODE_HASH_VARIABLE: one.code_hash}
        reserved = one.reserved_concurrency
        arguments = {
            "function_name": one.name,
            "role": self._place.role_arn(one.role),
            "s3_bucket": "${var.code_bucket}",
            "s3_key": f"${{var.code_version}}/{one.source}.zip",
            "handler": one.handler,
            "runtime": one.runtime,
            "architectures": [one.architecture],
            "memory_size": one.memory_mb,
            "timeout": one.timeout_s,
            "ephemeral_storage": {"size": one.tmp_mb},
            "environment": {"variables": variables},
            "logging_config": {"log_format": "Text", "log_group": one.log_group},
            **({"reserved_concurrent_executions": reserved} if reserved is not None else {}),
        }
        return Part("aws_lambda_function", self._tagged(arguments), one.name)

    def _async_invoke(self, one: r.AsyncInvoke) -> Part:
        worked = {"on_success": {"destination": one.on_success}} if one.on_success else {}
        failed = {"on_failure": {"destination": self._place.queue_arn(one.on_failure)}}
        arguments = {
            "function_name": one.function,
            "maximum_retry_attempts": one.retries,
            "maximum_event_age_in_seconds": one.max_age_s,
            "destination_config": {**failed, **worked},
        }
        return Part("aws_lambda_function_event_invoke_config", arguments, one.function)

    def _permission(self, one: r.Permission) -> Part:
        arguments = {
            "function_name": one.function,
            "statement_id": one.statement_id,
            **{_GRANTS[name]: value for name, value in granted(one).items()},
        }
        return Part("aws_lambda_permission", arguments, one.key.name)

    def _url(self, one: r.FunctionUrl) -> Part:
        shared = {_CORS[name]: value for name, value in cors(one.origins).items()}
        arguments = {
            "function_name": one.function,
            "authorization_type": one.auth,
            **({"cors": shared} if shared else {}),
        }
        return Part("aws_lambda_function_url", arguments, one.function)

    def addresses(self) -> dict[str, Any]:
        """Return as outputs what AWS makes up."""
        urls = self._graph.of(r.FunctionUrl)
        found = [address for url in urls for address in self._addresses(url.key)]
        return {URL_OUTPUT: {"value": f"${{{found[0]}.function_url}}"}} if found else {}

    def _mapping(self, one: r.Mapping) -> Part:
        limit = {"scaling_config": {"maximum_concurrency": one.max_concurrency}}
        filters = {"filter_criteria": {"filter": [{"pattern": it} for it in one.filters]}}
        arguments = {
            "event_source_arn": self._place.queue_arn(one.queue),
            "function_name": one.function,
            "batch_size": one.batch,
            "maximum_batching_window_in_seconds": one.window_s,
            "function_response_types": ["ReportBatchItemFailures"] if one.reports_failures else [],
            "enabled": one.enabled,
            **(limit if one.max_concurrency else {}),
            **(filters if one.filters else {}),
        }
        known = self._existing.ids.get(one.key, "")
        return Part("aws_lambda_event_source_mapping", self._tagged(arguments), known)

    def _subscription(self, one: r.Subscription) -> Part:
        arguments: Arguments = {
            "topic_arn": self._place.topic_arn(one.topic),
            "protocol": one.protocol,
            "endpoint": shared.endpoint(self._place, one),
        }
        if one.dlq:
            arguments["redrive_policy"] = r.canonical(shared.redrive(self._place, one.dlq))
        if one.filter_policy:
            scopes = {"attributes": "MessageAttributes", "body": "MessageBody"}
            arguments["filter_policy"] = one.filter_policy
            arguments["filter_policy_scope"] = scopes[one.filter_scope]
        return Part("aws_sns_topic_subscription", arguments, self._existing.ids.get(one.key, ""))

    def _event_rule(self, one: r.EventRule) -> Iterator[Part]:
        state = "ENABLED" if one.enabled else "DISABLED"
        rule = {"name": one.name, "event_pattern": one.pattern, "state": state}
        yield Part("aws_cloudwatch_event_rule", self._tagged(rule), f"default/{one.name}")
        target = {
            "rule": one.name,
            "target_id": TARGET,
            "arn": self._place.target_arn(one.target),
            "dead_letter_config": {"arn": self._place.queue_arn(one.dlq)},
        }
        yield Part("aws_cloudwatch_event_target", target, f"default/{one.name}/{TARGET}")

    def _notification(self, one: r.Notification) -> Part:
        blocks: dict[str, list[Arguments]] = {}
        for rule in one.rules:
            name, argument = _DESTINATIONS[rule.target.kind]
            block: Arguments = {
                "id": rule.id,
                argument: self._place.target_arn(rule.target),
                "events": list(rule.events),
            }
            if rule.prefix:
                block["filter_prefix"] = rule.prefix
            if rule.suffix:
                block["filter_suffix"] = rule.suffix
            blocks.setdefault(name, []).append(block)
        arguments = {"bucket": one.bucket, "eventbridge": one.eventbridge, **blocks}
        return Part("aws_s3_bucket_notification", arguments, one.bucket)

    def _alarm(self, one: r.Alarm) -> Part:
        topic = self._place.topic_arn(one.action)
        arguments = {
            "alarm_name": one.name,
            "alarm_description": one.description,
            "namespace": one.namespace,
            "metric_name": one.metric,
            "dimensions": dict(one.dimensions),
            "statistic": one.statistic,
            "period": one.period_s,
            "evaluation_periods": one.evaluation_periods,
            "datapoints_to_alarm": one.datapoints_to_alarm,
            "threshold": one.threshold,
            "comparison_operator": one.comparison,
            "treat_missing_data": one.treat_missing_data,
            "alarm_actions": [topic],
            "ok_actions": [topic],
        }
        return Part("aws_cloudwatch_metric_alarm", self._tagged(arguments), one.name)


_GRANTS: Mapping[str, str] = {
    "Action": "action",
    "Principal": "principal",
    "SourceArn": "source_arn",
    "SourceAccount": "source_account",
    "FunctionUrlAuthType": "function_url_auth_type",
    "InvokedViaFunctionUrl": LATER,
}
_CORS: Mapping[str, str] = {
    "AllowOrigins": "allow_origins",
    "AllowMethods": "allow_methods",
    "AllowHeaders": "allow_headers",
    "MaxAge": "max_age",
}
_DESTINATIONS: Mapping[str, tuple[str, str]] = {
    "topic": ("topic", "topic_arn"),
    "queue": ("queue", "queue_arn"),
    "function": ("lambda_function", "lambda_function_arn"),
}


def _bucket_settings(one: r.Bucket) -> Iterator[tuple[str, Arguments]]:
    """Yield what Terraform keeps beside a bucket: the ending of its type, and its arguments."""
    blocked = (
        "block_public_acls",
        "block_public_policy",
        "ignore_public_acls",
        "restrict_public_buckets",
    )
    yield "public_access_block", dict.fromkeys(blocked, True)
    yield "ownership_controls", {"rule": {"object_ownership": "BucketOwnerEnforced"}}
    encryption = {"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}
    yield "server_side_encryption_configuration", {"rule": [encryption]}
    if one.versioning:
        yield "versioning", {"versioning_configuration": {"status": "Enabled"}}
    yield "lifecycle_configuration", {"rule": list(_lifecycle(one))}
    if one.origins:
        yield "cors_configuration", {"cors_rule": [_cors(one)]}
    yield "policy", {"policy": one.policy}


def _cors(one: r.Bucket) -> Arguments:
    rule = cors_rule(one.origins)
    return {
        "id": rule["ID"],
        "allowed_headers": rule["AllowedHeaders"],
        "allowed_methods": rule["AllowedMethods"],
        "allowed_origins": rule["AllowedOrigins"],
        "expose_headers": rule["ExposeHeaders"],
        "max_age_seconds": rule["MaxAgeSeconds"],
    }


def _lifecycle(one: r.Bucket) -> Iterator[Arguments]:
    every: Arguments = {"status": "Enabled", "filter": {"prefix": ""}}
    aborted = {"days_after_initiation": one.abort_multipart_days}
    yield {"id": ABORT_RULE, **every, "abort_incomplete_multipart_upload": aborted}
    if one.noncurrent_days is not None:
        kept = {"noncurrent_days": one.noncurrent_days}
        yield {"id": NONCURRENT_RULE, **every, "noncurrent_version_expiration": kept}


def _escaped(value: Any) -> Any:
    """Keep our variables; every other `${` and `%{` stays a text."""
    return shared.each_text(value, _text, _escaped)


def _text(value: str) -> str:
    return shared.around(
        _VARIABLE, value, lambda part: part.replace("${", "$${").replace("%{", "%%{")
    )
