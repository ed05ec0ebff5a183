"""Money that buys nothing. Prices in words, not in figures: `imgpipe cost` has the figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgpipe.operate.doctor.checks.people import MAIL
from imgpipe.operate.doctor.findings import Fault, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgpipe.operate.doctor.scene import Bucket, Scene

ONE_CORE_MB = 1769
"""Lambda gives a whole core at this much memory; more pays for cores that one picture at a time doesn't use."""
MANY_MAILS = 1000
ENOUGH_CALLS = 20


def log_retention(scene: Scene) -> Iterator[Fault]:
    """A log that is kept for ever."""
    for function in scene.functions.values():
        log = function.log
        if log.group and not log.missing and log.retention_days is None:
            yield _cost(
                f"log group {log.group} is kept for ever",
                f"it has no retention; {log.bytes / 1e6:,.1f} MB so far, paid every month",
                scene.mend(
                    function.name,
                    "imgpipe up",
                    f"aws logs put-retention-policy --log-group-name {log.group} --retention-in-days 30",
                ),
            )


def unfinished(scene: Scene) -> Iterator[Fault]:
    """Parts of uploads that nobody finished: paid for, and in no listing."""
    for bucket in scene.buckets.values():
        if bucket.missing or _has(bucket, "AbortIncompleteMultipartUpload"):
            continue
        old = bucket.oldest_unfinished
        age = f"; {bucket.unfinished} are there, the oldest of {old:%Y-%m-%d}" if old else ""
        yield _cost(
            f"bucket {bucket.name} keeps the parts of unfinished uploads",
            f"no lifecycle rule removes them, and no listing shows them{age}",
            scene.mend(bucket.name, "imgpipe up", _put_lifecycle(bucket)),
        )


def noncurrent(scene: Scene) -> Iterator[Fault]:
    """Replaced and deleted versions that are kept for ever, and keep the bucket from being removed."""
    for bucket in scene.buckets.values():
        if bucket.missing or not bucket.versioned or _has(bucket, "NoncurrentVersionExpiration"):
            continue
        some = (
            f"; {bucket.noncurrent:,} so far, {bucket.noncurrent_bytes / 1e6:,.1f} MB"
            if bucket.noncurrent
            else ""
        )
        yield _cost(
            f"bucket {bucket.name} keeps every replaced version",
            f"no lifecycle rule removes them, and a bucket that holds one can't be deleted{some}",
            scene.mend(bucket.name, "imgpipe up", _put_lifecycle(bucket)),
        )


def spare_memory(scene: Scene) -> Iterator[Fault]:
    """A function with more memory than it ever used, beyond what makes one core."""
    for function in scene.functions.values():
        used, limit = function.log.max_used_mb, function.memory_mb
        fits = max(ONE_CORE_MB, 2 * used)
        if function.log.calls >= ENOUGH_CALLS and limit > fits:
            yield _cost(
                f"function {function.name} has {limit:,} MB and used {used:,}",
                f"a whole core comes with {ONE_CORE_MB:,} MB: every call costs {limit / fits:.1f} times what it need",
                scene.mend(
                    function.name,
                    f"imgpipe up, with `memory: {fits}` for {scene.step(function.name)}",
                    f"aws lambda update-function-configuration --function-name {function.name} --memory-size {fits}",
                ),
            )


def mail(scene: Scene) -> Iterator[Fault]:
    """A topic that sends people more mail than anybody reads."""
    for topic in scene.topics.values():
        people = sum(one.get("Protocol") in MAIL for one in topic.subscriptions)
        sent = scene.measured.get((topic.name, "NumberOfNotificationsDelivered"), 0.0)
        if people and sent > MANY_MAILS:
            yield _cost(
                f"topic {topic.name} sent {sent:,.0f} notices in the last day, by mail too",
                "mail costs four times what a request costs, and SNS sends ten a second at most",
                scene.mend(
                    topic.name,
                    "imgpipe up, with `digest:` under `notify`",
                    f"aws sns list-subscriptions-by-topic --topic-arn {topic.arn}",
                ),
            )


def _has(bucket: Bucket, action: str) -> bool:
    return any(rule.get("Status") == "Enabled" and action in rule for rule in bucket.lifecycle)


def _put_lifecycle(bucket: Bucket) -> str:
    return (
        f"aws s3api put-bucket-lifecycle-configuration --bucket {bucket.name} "
        "--lifecycle-configuration file://lifecycle.json"
    )


def _cost(what: str, why: str, command: str) -> Fault:
    return Fault(severity=Severity.COST, what=what, why=why, command=command)
