"""Whether an upload reaches its function at all, and whether an output starts everything again."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from imgpipe.deploy import resources as r
from imgpipe.deploy.policies import listed
from imgpipe.deploy.providers.site import last
from imgpipe.operate.doctor import policy
from imgpipe.operate.doctor.findings import Fault, Severity
from imgpipe.operate.doctor.scene import dead_letter_target

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from imgpipe.operate.doctor.scene import Bucket, Function, Rule, Scene

ACTIONS = {"sns": "sns:Publish", "sqs": "sqs:SendMessage", "lambda": "lambda:InvokeFunction"}
WORDS = {"sns": "topic", "sqs": "queue", "lambda": "function"}
SAME_FORMAT = {".jpg": (".jpeg",), ".jpeg": (".jpg",), ".tif": (".tiff",), ".tiff": (".tif",)}


def notification(scene: Scene) -> Iterator[Fault]:
    """A bucket that tells nobody, or somebody who isn't there."""
    for bucket in scene.buckets.values():
        if bucket.missing:
            yield _broken(
                f"bucket {bucket.name} is not there",
                "nothing can be uploaded",
                scene.mend(bucket.name, "imgpipe up", f"aws s3 mb s3://{bucket.name}"),
            )
    yield from _undeclared(scene)
    yield from _silent(scene)
    yield from _off(scene)
    for bucket, rule in scene.rules():
        there = _target(scene, rule.target)
        if there is not None and there.missing:
            name = last(rule.target)
            yield _broken(
                f"bucket {bucket.name} tells {WORDS[rule.service]} {name}, which is not there",
                f"events of `{rule.prefix}*{rule.suffix}` are lost",
                scene.mend(name, "imgpipe up", _show_rules(bucket)),
            )


def _silent(scene: Scene) -> Iterator[Fault]:
    if scene.graph:
        return
    for bucket in scene.buckets.values():
        if not (bucket.missing or bucket.rules or bucket.eventbridge):
            yield _broken(
                f"bucket {bucket.name} tells nobody of its uploads",
                "its notification configuration is empty: it was never made, or another program replaced it",
                f"aws s3api put-bucket-notification-configuration --bucket {bucket.name} "
                "--notification-configuration file://rules.json",
            )


def _off(scene: Scene) -> Iterator[Fault]:
    for bucket in scene.buckets.values():
        for rule in bucket.bus:
            if not rule.enabled:
                yield _broken(
                    f"rule {rule.name} doesn't hear bucket {bucket.name}",
                    "it is disabled",
                    scene.mend(
                        rule.name, "imgpipe up", f"aws events enable-rule --name {rule.name}"
                    ),
                )
        if bucket.eventbridge and not bucket.rules and not bucket.bus:
            yield _broken(
                f"bucket {bucket.name} tells EventBridge, and nothing listens",
                "no rule of the default event bus speaks of it",
                scene.mend(bucket.name, "imgpipe up", "aws events list-rules"),
            )


def _undeclared(scene: Scene) -> Iterator[Fault]:
    """Yield what pipeline.yaml wants the bucket and its topics to tell, and they don't."""
    if scene.graph is None:
        return
    for wanted in scene.graph.of(r.Notification):
        bucket = scene.buckets.get(wanted.bucket)
        if bucket is None or bucket.missing:
            continue
        said = {_meaning(rule) for rule in bucket.rules}
        lost = [rule for rule in wanted.rules if _declared(rule) not in said]
        if lost or (wanted.eventbridge and not bucket.eventbridge):
            whom = (
                ", ".join(dict.fromkeys(last(rule.target.name) for rule in lost)) or "EventBridge"
            )
            others = f"; {len(bucket.rules)} other rules are there" if bucket.rules else ""
            yield _broken(
                f"bucket {bucket.name} doesn't tell {whom} of uploads",
                f"our rules are not in its notification configuration: something replaced it{others}",
                "imgpipe up",
            )
    for subscription in scene.graph.of(r.Subscription):
        topic = scene.topics.get(scene.place.topic_arn(subscription.topic))
        if topic is None or topic.missing or subscription.protocol not in {"sqs", "lambda"}:
            continue
        if subscription.endpoint not in {
            last(it.get("Endpoint", "")) for it in topic.subscriptions
        }:
            yield _broken(
                f"{subscription.endpoint} doesn't hear topic {topic.name}",
                "its subscription is not there",
                "imgpipe up",
            )


def _meaning(rule: Rule) -> tuple[str, str, str, frozenset[str]]:
    return last(rule.target), rule.prefix, rule.suffix, frozenset(rule.events)


def _declared(rule: r.Rule) -> tuple[str, str, str, frozenset[str]]:
    return rule.target.name, rule.prefix, rule.suffix, frozenset(rule.events)


def permission(scene: Scene) -> Iterator[Fault]:
    """A topic, queue or function whose policy doesn't let in who should reach it."""
    for bucket, rule in scene.rules():
        arn = scene.place.bucket_arn(bucket.name)
        yield from _shut_out(scene, "s3", f"bucket {bucket.name}", arn, rule.target)
    for heard in scene.bus():
        for target in (*heard.targets, *heard.dlqs):
            yield from _shut_out(scene, "events", f"rule {heard.name}", heard.arn, target)
    for topic, one in scene.subscriptions():
        for target in (one.get("Endpoint", ""), dead_letter_target(one)):
            if target.startswith("arn:"):
                yield from _shut_out(scene, "sns", f"topic {topic.name}", topic.arn, target)


def _shut_out(scene: Scene, service: str, who: str, source: str, target: str) -> Iterator[Fault]:
    there, kind = _target(scene, target), target.split(":")[2]
    if there is None or there.missing or kind not in ACTIONS:
        return
    let_in = policy.lets(
        there.policy,
        service=f"{service}.amazonaws.com",
        action=ACTIONS[kind],
        resource=target,
        source=source,
        account=scene.place.account,
    )
    if not let_in:
        name = last(target)
        yield _broken(
            f"{who} may not reach {WORDS[kind]} {name}",
            f"its policy lets {service}.amazonaws.com do no {ACTIONS[kind]} for it",
            scene.mend(name, "imgpipe up", _grant(scene, kind, name, target, service, source)),
        )


def _grant(scene: Scene, kind: str, name: str, target: str, service: str, source: str) -> str:
    match kind:
        case "lambda":
            return (
                f"aws lambda add-permission --function-name {name} --statement-id {service} "
                f"--action lambda:InvokeFunction --principal {service}.amazonaws.com "
                f"--source-arn {source} --source-account {scene.place.account}"
            )
        case "sqs":
            return (
                f"aws sqs set-queue-attributes --queue-url {scene.url(name)} "
                "--attributes file://policy.json"
            )
        case _:
            return (
                f"aws sns set-topic-attributes --topic-arn {target} --attribute-name Policy "
                "--attribute-value file://policy.json"
            )


def suffix(scene: Scene) -> Iterator[Fault]:
    """A rule for `.jpg` that passes over `.JPG`: S3 compares letter by letter."""
    for bucket in scene.buckets.values():
        rules = [rule for rule in bucket.rules if rule.creates]
        gaps: dict[str, set[str]] = defaultdict(set)
        for rule in rules:
            for variant in _variants(rule.suffix):
                if not any(
                    _hears(other, f"{unquote_plus(rule.prefix)}x{variant}") for other in rules
                ):
                    gaps[rule.prefix].add(variant)
        for prefix, variants in gaps.items():
            yield _unheard(scene, bucket, prefix, sorted(variants))


def _unheard(scene: Scene, bucket: Bucket, prefix: str, variants: list[str]) -> Fault:
    before = unquote_plus(prefix)
    lost = [key for key in bucket.keys if key.startswith(before) and key.endswith(tuple(variants))]
    found = (
        f"; {len(lost)} objects are there that nobody heard of, such as {lost[0]}" if lost else ""
    )
    return Fault(
        severity=Severity.BROKEN if lost else Severity.RISK,
        what=f"bucket {bucket.name} passes over {', '.join(variants)} under `{prefix}`",
        why=f"a filter on a suffix tells capitals apart{found}",
        command=scene.mend(
            bucket.name,
            "imgpipe up, with `uploads.suffixes` naming each format once",
            _show_rules(bucket),
        ),
    )


def _variants(ending: str) -> list[str]:
    """Return the ways of writing a suffix that people's cameras and phones use."""
    if not any(char.isalpha() for char in ending):
        return []
    endings = [ending, *SAME_FORMAT.get(ending.lower(), ())]
    known = [form for one in endings for form in (one.lower(), one.upper())]
    return [form for form in dict.fromkeys(known) if form != ending]


def _hears(rule: Rule, key: str) -> bool:
    return key.startswith(unquote_plus(rule.prefix)) and key.endswith(unquote_plus(rule.suffix))


def loop(scene: Scene) -> Iterator[Fault]:
    """A function that may write where an upload starts it again."""
    for function in scene.functions.values():
        for bucket, rule in scene.rules():
            if rule.creates and _may_start(scene, function, bucket, rule):
                allowed = function.recursion == "Allow"
                stop = (
                    "Lambda's own stop of loops is switched off"
                    if allowed
                    else "only Lambda's own stop, after 16 rounds, ends it"
                )
                yield Fault(
                    severity=Severity.BROKEN if allowed else Severity.RISK,
                    what=f"function {function.name} may write to {bucket.name}/{rule.prefix}, which triggers",
                    why=f"an output, or a backfill that copies there, starts the pipeline again: {stop}",
                    command=scene.mend(
                        function.name,
                        "imgpipe up",
                        f"aws iam list-role-policies --role-name {last(function.configuration.get('Role', ''))}",
                    ),
                )
                break


def _may_start(scene: Scene, function: Function, bucket: Bucket, rule: Rule) -> bool:
    before, after = unquote_plus(rule.prefix), unquote_plus(rule.suffix)
    arn = scene.place.bucket_arn(bucket.name)
    heads = {before, *_written(function, f"{arn}/")}
    return any(
        head.startswith(before)
        and policy.may(function.documents, "s3:PutObject", f"{arn}/{head}x{after}")
        for head in heads
    )


def _written(function: Function, arn: str) -> Iterator[str]:
    """Yield how the keys begin that a role's policies name in a bucket."""
    for document in function.documents:
        for statement in policy.statements(document):
            for resource in map(str, listed(statement.get("Resource", ()))):
                if resource.startswith(arn):
                    yield resource.removeprefix(arn).partition("*")[0]


def _target(scene: Scene, arn: str) -> Any:
    known: Mapping[str, Any] = {**scene.topics, **scene.queues, **scene.functions}
    return known.get(arn)


def _show_rules(bucket: Bucket) -> str:
    return f"aws s3api get-bucket-notification-configuration --bucket {bucket.name}"


def _broken(what: str, why: str, command: str) -> Fault:
    return Fault(severity=Severity.BROKEN, what=what, why=why, command=command)
