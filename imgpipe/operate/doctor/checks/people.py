"""Whether people hear of what matters, in words, and of nothing else."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from imgpipe.deploy.providers.site import last
from imgpipe.operate.doctor import policy
from imgpipe.operate.doctor.findings import Fault, Severity
from imgpipe.operate.doctor.scene import is_pending

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from imgpipe.operate.doctor.scene import Scene, Topic

MAIL = frozenset({"email", "email-json"})
NEED_DIMENSIONS = frozenset({"AWS/SQS", "AWS/Lambda", "AWS/SNS", "AWS/DynamoDB", "AWS/S3"})


def unconfirmed(scene: Scene) -> Iterator[Fault]:
    """An address that never followed the link in its mail."""
    waiting: dict[tuple[str, str], list[Topic]] = defaultdict(list)
    for topic, one in scene.subscriptions():
        if is_pending(one) and one.get("Protocol") in MAIL | {"http", "https"}:
            waiting[str(one.get("Protocol")), str(one.get("Endpoint"))].append(topic)
    local = scene.graph is not None and scene.graph.environment == "local"
    for (protocol, address), topics in waiting.items():
        yield Fault(
            severity=Severity.RISK,
            what=f"{address} hasn't confirmed topic {', '.join(topic.name for topic in topics)}",
            why="until the link in the mail of `AWS Notifications` is followed, nothing is sent there",
            command=f"imgpipe local mail confirm {address}"
            if local
            else f"aws sns subscribe --topic-arn {topics[0].arn} --protocol {protocol} "
            f"--notification-endpoint {address}",
        )


def raw_mail(scene: Scene) -> Iterator[Fault]:
    """People who are sent S3's own JSON."""
    heard = {rule.target for _, rule in scene.rules()}
    for topic, one in scene.subscriptions():
        protocol = one.get("Protocol")
        if protocol == "email-json" or (protocol in {"email", "sms"} and topic.arn in heard):
            yield Fault(
                severity=Severity.RISK,
                what=f"{one.get('Endpoint')} is sent raw JSON by topic {topic.name}",
                why="S3 speaks to that topic itself, and SNS can't change the words; a mail an upload, 10 a second",
                command=f"aws sns unsubscribe --subscription-arn {one.get('SubscriptionArn')}",
            )


def alarms(scene: Scene) -> Iterator[Fault]:
    """An alarm that goes off and tells nobody."""
    for alarm in scene.alarms:
        name, actions = alarm["AlarmName"], alarm.get("AlarmActions", [])
        why = _unheard(scene, alarm, actions)
        if why:
            yield Fault(
                severity=Severity.RISK,
                what=f"alarm {name} tells nobody",
                why=why,
                command=scene.mend(
                    name,
                    "imgpipe up",
                    f"aws cloudwatch describe-alarms --alarm-names {name}, "
                    "then put-metric-alarm with --alarm-actions TOPIC",
                ),
            )


def _unheard(scene: Scene, alarm: Mapping[str, Any], actions: list[str]) -> str:
    if not actions:
        return "it has no action"
    if not alarm.get("ActionsEnabled", True):
        return "its actions are switched off"
    return next(filter(None, (_deaf(scene, alarm["AlarmName"], arn) for arn in actions)), "")


def _deaf(scene: Scene, alarm: str, arn: str) -> str:
    topic = scene.topics.get(arn)
    if topic is None:
        return ""
    if topic.missing:
        return f"topic {last(arn)} is not there"
    let_in = policy.lets(
        topic.policy,
        service="cloudwatch.amazonaws.com",
        action="sns:Publish",
        resource=arn,
        source=scene.place.alarm_arn(alarm),
        account=scene.place.account,
    )
    return "" if let_in else f"the policy of topic {topic.name} doesn't let CloudWatch publish"


def nobody(scene: Scene) -> Iterator[Fault]:
    """A topic for alarms without a single subscriber."""
    used = {arn for alarm in scene.alarms for arn in alarm.get("AlarmActions", ())}
    for arn in sorted(used & set(scene.topics)):
        topic = scene.topics[arn]
        if not topic.missing and not topic.subscriptions:
            yield Fault(
                severity=Severity.RISK,
                what=f"nobody hears the alarms of topic {topic.name}",
                why="it has no subscriber",
                command=scene.mend(
                    topic.name,
                    "imgpipe up, with an address under `notify.failed.email`",
                    f"aws sns subscribe --topic-arn {arn} --protocol email --notification-endpoint ADDRESS",
                ),
            )


def no_alarm(scene: Scene) -> Iterator[Fault]:
    """A dead-letter queue that may fill without a sound."""
    watched = {one["Value"] for alarm in scene.alarms for one in alarm.get("Dimensions", ())}
    for queue in scene.dead_letter_queues().values():
        if not queue.missing and queue.name not in watched:
            yield Fault(
                severity=Severity.RISK,
                what=f"no alarm watches {queue.name}",
                why="dead letters lie there until their time is over, and nobody hears of them",
                command=scene.mend(
                    queue.name,
                    "imgpipe up",
                    f"aws cloudwatch put-metric-alarm --alarm-name {queue.name} --namespace AWS/SQS "
                    "--metric-name ApproximateNumberOfMessagesVisible "
                    f"--dimensions Name=QueueName,Value={queue.name} --statistic Maximum --period 60 "
                    "--evaluation-periods 1 --threshold 1 --comparison-operator "
                    "GreaterThanOrEqualToThreshold --alarm-actions TOPIC",
                ),
            )


def dashboards(scene: Scene) -> Iterator[Fault]:
    """A graph of a metric that names no queue, function or table: it stays empty."""
    for name, body in scene.dashboards.items():
        empty = sorted({" ".join(metric[:2]) for metric in _metrics(body) if _is_bare(metric)})
        if empty:
            yield Fault(
                severity=Severity.RISK,
                what=f"dashboard {name} has graphs that stay empty",
                why=f"{', '.join(empty[:3])} without dimensions: such a metric doesn't exist",
                command=scene.mend(
                    name, "imgpipe up", f"aws cloudwatch get-dashboard --dashboard-name {name}"
                ),
            )


def _metrics(body: str) -> Iterator[list[Any]]:
    """Yield each metric of a dashboard, with `.` replaced by what stands above it."""
    for widget in policy.parse(body).get("widgets", ()):
        above: list[Any] = []
        for metric in (widget.get("properties") or {}).get("metrics", ()):
            words = [word for word in metric if isinstance(word, str)]
            if not words:
                continue
            full = list(_filled(words, above))
            above = full
            yield full


def _filled(words: list[str], above: list[Any]) -> Iterator[str]:
    for place, word in enumerate(words):
        if word == "...":
            yield from above[place : len(above) - (len(words) - place - 1)]
        else:
            yield above[place] if word == "." and place < len(above) else word


def _is_bare(metric: list[Any]) -> bool:
    return metric[0] in NEED_DIMENSIONS and len(metric) < 4
