"""What makes a function run, and what becomes of its failures: permissions, queue mappings, asynchronous invocation."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from imgpipe.cloud import error_code
from imgpipe.deploy import resources as r
from imgpipe.deploy.providers.site import Site, found, gone, last, message
from imgpipe.deploy.resources import Key

T = TypeVar("T")
_REPORTS = "ReportBatchItemFailures"


class Permissions:
    """Statements of functions' resource policies. There is no way to change one: it is removed and added."""

    def __init__(self, site: Site) -> None:
        self._site, self._lambda = site, site.client("lambda")

    def read(self, anchor: str, declared: Mapping[Key, r.Permission]) -> Iterable[r.Permission]:
        answer = found(lambda: self._lambda.get_policy(FunctionName=anchor))
        if answer is None:
            return
        for statement in json.loads(answer["Policy"]).get("Statement", ()):
            made = _permission(anchor, statement)
            ours = made.statement_id in r.URL_STATEMENTS or self._site.names(last(made.source_arn))
            if made.key in declared or ours:
                yield made

    def create(self, wanted: r.Permission) -> None:
        try:
            self._add(wanted)
        except ClientError as error:
            if error_code(error) != "ResourceConflictException":
                raise
            self.update(wanted, wanted)

    def update(self, wanted: r.Permission, before: r.Permission) -> None:
        self.delete(before)
        self._add(wanted)

    def delete(self, before: r.Permission) -> None:
        gone(
            lambda: self._lambda.remove_permission(
                FunctionName=before.function, StatementId=before.statement_id
            )
        )

    def _add(self, wanted: r.Permission) -> None:
        self._lambda.add_permission(
            FunctionName=wanted.function, StatementId=wanted.statement_id, **granted(wanted)
        )


def granted(wanted: r.Permission) -> dict[str, Any]:
    """Return what is allowed, to whom and when, in the words that Lambda and CloudFormation share."""
    made: dict[str, Any] = {"Action": wanted.action, "Principal": wanted.principal}
    if wanted.source_account:
        made["SourceAccount"] = wanted.source_account
    if wanted.source_arn:
        return {**made, "SourceArn": wanted.source_arn}
    if wanted.action == "lambda:InvokeFunctionUrl":
        return {**made, "FunctionUrlAuthType": "NONE"}
    return {**made, "InvokedViaFunctionUrl": True}


class AsyncInvokes:
    """How Lambda retries what SNS hands it, and where the failures go."""

    def __init__(self, site: Site) -> None:
        self._site, self._lambda = site, site.client("lambda")

    def read(self, anchor: str, _declared: Mapping[Key, r.AsyncInvoke]) -> Iterable[r.AsyncInvoke]:
        there = found(lambda: self._lambda.get_function_event_invoke_config(FunctionName=anchor))
        if there is not None:
            destinations = there.get("DestinationConfig", {})
            failed = destinations.get("OnFailure", {}).get("Destination", "")
            yield r.AsyncInvoke(
                function=anchor,
                on_failure=last(failed),
                on_success=destinations.get("OnSuccess", {}).get("Destination") or "",
                retries=there.get("MaximumRetryAttempts", 2),
                max_age_s=there.get("MaximumEventAgeInSeconds", 21_600),
            )

    def create(self, wanted: r.AsyncInvoke) -> None:
        target = self._site.place.queue_arn(wanted.on_failure)
        worked = {"OnSuccess": {"Destination": wanted.on_success}} if wanted.on_success else {}
        _lag(
            self._site,
            lambda: self._lambda.put_function_event_invoke_config(
                FunctionName=wanted.function,
                MaximumRetryAttempts=wanted.retries,
                MaximumEventAgeInSeconds=wanted.max_age_s,
                DestinationConfig={"OnFailure": {"Destination": target}, **worked},
            ),
        )

    def update(self, wanted: r.AsyncInvoke, _before: r.AsyncInvoke) -> None:
        self.create(wanted)

    def delete(self, before: r.AsyncInvoke) -> None:
        gone(lambda: self._lambda.delete_function_event_invoke_config(FunctionName=before.function))


class Mappings:
    """Event source mappings. Their ids are AWS's: they are found by function and queue."""

    def __init__(self, site: Site) -> None:
        self._site, self._lambda = site, site.client("lambda")

    def read(self, anchor: str, declared: Mapping[Key, r.Mapping]) -> Iterable[r.Mapping]:
        for there in found(lambda: self._listed(FunctionName=anchor)) or ():
            made = _mapping(anchor, there)
            if there.get("State") != "Deleting" and (
                made.key in declared or self._site.names(made.queue)
            ):
                yield made

    def create(self, wanted: r.Mapping) -> None:
        queue_arn = self._site.place.queue_arn(wanted.queue)
        try:
            _lag(
                self._site,
                lambda: self._lambda.create_event_source_mapping(
                    EventSourceArn=queue_arn,
                    FunctionName=wanted.function,
                    Enabled=wanted.enabled,
                    Tags=dict(self._site.tags),
                    **_settings(wanted),
                ),
            )
        except ClientError as error:
            if error_code(error) != "ResourceConflictException":
                raise
            self.update(wanted, wanted)

    def update(self, wanted: r.Mapping, before: r.Mapping) -> None:
        for there in self._all(wanted):
            _lag(
                self._site,
                lambda uuid=there["UUID"]: self._lambda.update_event_source_mapping(  # type: ignore[misc]
                    UUID=uuid,
                    FunctionName=wanted.function,
                    Enabled=wanted.enabled,
                    **_settings(wanted, before),
                ),
            )

    def delete(self, before: r.Mapping) -> None:
        for there in self._all(before):
            if there.get("State") != "Deleting":
                _lag(
                    self._site,
                    lambda uuid=there["UUID"]: gone(  # type: ignore[misc]
                        lambda: self._lambda.delete_event_source_mapping(UUID=uuid)
                    ),
                )
        self._site.until(lambda: not self._all(before), f"the end of mapping {before.key.name}")

    def id_of(self, wanted: r.Mapping) -> str:
        """Return the UUID that AWS gave it; nothing for one that isn't there."""
        return next((str(there["UUID"]) for there in self._all(wanted)), "")

    def _all(self, wanted: r.Mapping) -> list[dict[str, Any]]:
        """Return the mappings of this function and queue: one, or none."""
        arn = self._site.place.queue_arn(wanted.queue)
        listed = found(lambda: self._listed(FunctionName=wanted.function)) or []
        return [there for there in listed if there.get("EventSourceArn") == arn]

    def _listed(self, **by: str) -> list[dict[str, Any]]:
        pages = self._lambda.get_paginator("list_event_source_mappings")
        return [there for page in pages.paginate(**by) for there in page["EventSourceMappings"]]


def _settings(wanted: r.Mapping, before: r.Mapping | None = None) -> dict[str, Any]:
    """Return what a mapping's creation and its change both take; a change takes away limits and filters of before."""
    limited = {"MaximumConcurrency": wanted.max_concurrency} if wanted.max_concurrency else {}
    filters = {"Filters": [{"Pattern": one} for one in wanted.filters]} if wanted.filters else {}
    return {
        "BatchSize": wanted.batch,
        "MaximumBatchingWindowInSeconds": wanted.window_s,
        "FunctionResponseTypes": [_REPORTS] if wanted.reports_failures else [],
        **({"ScalingConfig": limited} if limited or before else {}),
        **({"FilterCriteria": filters} if filters or (before and before.filters) else {}),
    }


def _mapping(function: str, there: dict[str, Any]) -> r.Mapping:
    return r.Mapping(
        queue=last(there.get("EventSourceArn", "")),
        function=function,
        batch=there.get("BatchSize", 10),
        window_s=there.get("MaximumBatchingWindowInSeconds", 0),
        max_concurrency=there.get("ScalingConfig", {}).get("MaximumConcurrency"),
        enabled=there.get("State") not in {"Disabled", "Disabling"},
        reports_failures=_REPORTS in (there.get("FunctionResponseTypes") or ()),
        filters=tuple(
            str(one.get("Pattern", ""))
            for one in there.get("FilterCriteria", {}).get("Filters", ())
        ),
    )


def _permission(function: str, statement: dict[str, Any]) -> r.Permission:
    tests = {
        key.lower(): value
        for operator in statement.get("Condition", {}).values()
        for key, value in operator.items()
    }
    principal = statement.get("Principal", "")
    return r.Permission(
        function=function,
        statement_id=statement.get("Sid", ""),
        principal=principal.get("Service", "") if isinstance(principal, dict) else principal,
        source_arn=tests.get("aws:sourcearn", ""),
        source_account=tests.get("aws:sourceaccount"),
        action=statement.get("Action", "lambda:InvokeFunction"),
    )


_PASSING = (
    "execution role does not have permissions",
    "cannot be assumed by Lambda",
    "An update is in progress",
)


def _lag(site: Site, call: Callable[[], T]) -> T:
    """Call, and again while IAM has not heard of the role's rights or the mapping is still changing."""
    return site.patiently(call, _will_pass, "waiting until Lambda may use it", deadline_s=120)


def _will_pass(error: ClientError) -> bool:
    busy = error_code(error) == "ResourceInUseException"
    return busy or any(text in message(error) for text in _PASSING)
