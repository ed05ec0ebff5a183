"""Whether messages move: mappings, permissions, visibility; and what becomes of those that fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgpipe.deploy import resources as r
from imgpipe.deploy.providers.site import last
from imgpipe.operate.doctor import policy
from imgpipe.operate.doctor.findings import Fault, Severity
from imgpipe.operate.doctor.scene import dead_letter_target

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from imgpipe.operate.doctor.scene import Function, Queue, Scene, Topic

CONSUMES = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
TIMES = 6
"""AWS's advice: a queue hides a message for six of its function's timeouts, and the batching window."""
REPORTS = "ReportBatchItemFailures"
HOUR, DAY = 3600, 86_400
SOON_S = 2 * DAY
LONGEST_S = 14 * DAY


def _fed(scene: Scene) -> Iterator[tuple[Queue, Mapping[str, Any], Function]]:
    """Yield each queue with a mapping of it, and the function that this feeds."""
    for queue in scene.queues.values():
        for mapping in queue.mappings:
            function = scene.functions.get(_unqualified(mapping.get("FunctionArn", "")))
            if function and not function.missing:
                yield queue, mapping, function


def _unqualified(arn: str) -> str:
    return ":".join(arn.split(":")[:7])


def mapping(scene: Scene) -> Iterator[Fault]:
    """A queue that nothing reads: no mapping, a disabled one, or a function that may not run."""
    for queue in scene.queues.values():
        if queue.missing or queue.arn in scene.dead_letter_queues():
            continue
        if not queue.mappings:
            yield from _unmapped(scene, queue)
        for one in queue.mappings:
            if one.get("State") in {"Disabled", "Disabling"}:
                yield _broken(
                    f"queue {queue.name} is read no more: {_waiting(queue)}",
                    f"its mapping to {last(one.get('FunctionArn', ''))} is disabled",
                    scene.mend(
                        queue.name,
                        "imgpipe up",
                        f"aws lambda update-event-source-mapping --uuid {one.get('UUID')} --enabled",
                    ),
                )
    for function in scene.functions.values():
        if function.reserved == 0:
            yield _broken(
                f"function {function.name} may not run",
                "its reserved concurrency is 0: every call is throttled",
                scene.mend(
                    function.name,
                    "imgpipe up",
                    f"aws lambda delete-function-concurrency --function-name {function.name}",
                ),
            )


def _unmapped(scene: Scene, queue: Queue) -> Iterator[Fault]:
    """A queue that hears of uploads, or that our own worker reads. What others are for, such as the place that refused
    uploads are put, nobody knows: to feed them to a function would do harm.
    """
    graph = scene.graph
    declared = {one.queue: one.function for one in graph.of(r.Mapping)} if graph else {}
    if queue.name in declared:
        yield _broken(
            f"nothing reads queue {queue.name}: {_waiting(queue)}",
            f"its mapping to {declared[queue.name]} is not there",
            "imgpipe up",
        )
    elif queue.visible and not queue.in_flight:
        worker = (
            next((it for it in graph.branches if it.queue == queue.name), None) if graph else None
        )
        if worker:
            yield Fault(
                severity=Severity.RISK,
                what=f"nothing reads queue {queue.name}: {_waiting(queue)}",
                why="no worker has taken a message",
                command=f"imgpipe worker {worker.name}",
            )
        elif scene.hears(queue) and graph:
            yield Fault(
                severity=Severity.RISK,
                what=f"somebody's queue {queue.name} hears of uploads: {_waiting(queue)}",
                why="nothing takes them now; it isn't this pipeline's, which goes on without it",
                command=f"aws sqs get-queue-attributes --queue-url {scene.url(queue.name)} "
                "--attribute-names All",
            )
        elif scene.hears(queue):
            yield _broken(
                f"nothing reads queue {queue.name}: {_waiting(queue)}",
                "it feeds no function, and no message is in work",
                "aws lambda create-event-source-mapping --function-name NAME "
                f"--event-source-arn {queue.arn} --function-response-types {REPORTS}",
            )


def permission(scene: Scene) -> Iterator[Fault]:
    """A function whose role may not take messages from the queue that feeds it."""
    for queue, one, function in _fed(scene):
        result = str(one.get("LastProcessingResult", ""))
        lacking = [
            action
            for action in CONSUMES
            if function.role_policies is not None
            and not policy.may(function.documents, action, queue.arn)
        ]
        if lacking or "ermission" in result or "Denied" in result:
            role = last(function.configuration.get("Role", ""))
            yield _broken(
                f"function {function.name} may not read queue {queue.name}: {_waiting(queue)}",
                f"role {role} lacks {', '.join(lacking)}" if lacking else result,
                scene.mend(
                    function.name,
                    "imgpipe up",
                    f"aws iam attach-role-policy --role-name {role} --policy-arn "
                    "arn:aws:iam::aws:policy/service-role/AWSLambdaSQSQueueExecutionRole",
                ),
            )


def visibility(scene: Scene) -> Iterator[Fault]:
    """A queue that shows a message again while its function still works on it."""
    for queue, one, function in _fed(scene):
        window = int(one.get("MaximumBatchingWindowInSeconds") or 0)
        needed = TIMES * function.timeout_s + window
        if queue.missing or queue.visibility_s >= needed:
            continue
        short = queue.visibility_s < function.timeout_s
        yield Fault(
            severity=Severity.BROKEN if short else Severity.RISK,
            what=f"queue {queue.name} hides a message for {queue.visibility_s} s only",
            why=f"function {function.name} may take {function.timeout_s} s"
            + (
                ": its messages are done twice, or go round until they are dead letters"
                if short
                else f", and AWS asks for {TIMES} times that: throttled messages become dead letters early"
            ),
            command=scene.mend(
                queue.name,
                "imgpipe up",
                f"aws sqs set-queue-attributes --queue-url {scene.url(queue.name)} "
                f"--attributes VisibilityTimeout={needed}",
            ),
        )


def partial_failures(scene: Scene) -> Iterator[Fault]:
    """A mapping that doesn't listen to which messages of a batch failed."""
    for queue, one, function in _fed(scene):
        batch = int(one.get("BatchSize") or 10)
        if REPORTS in (one.get("FunctionResponseTypes") or ()) or batch == 1:
            continue
        yield Fault(
            severity=Severity.BROKEN,
            what=f"queue {queue.name} takes a batch as done in which some messages failed",
            why=f"its mapping doesn't have {REPORTS}: what {function.name} says of {batch} messages "
            "isn't heard, and the failed ones are deleted",
            command=scene.mend(
                queue.name,
                "imgpipe up",
                f"aws lambda update-event-source-mapping --uuid {one.get('UUID')} "
                f"--function-response-types {REPORTS}",
            ),
        )


def concurrency(scene: Scene) -> Iterator[Fault]:
    """A mapping that calls its function more often at once than the function may run."""
    for queue, one, function in _fed(scene):
        most = (one.get("ScalingConfig") or {}).get("MaximumConcurrency")
        if function.reserved and most and most > function.reserved:
            yield Fault(
                severity=Severity.RISK,
                what=f"queue {queue.name} may call {function.name} {most} times at once; {function.reserved} may run",
                why="each call that is throttled counts as a receive: healthy messages become dead letters",
                command=scene.mend(
                    queue.name,
                    "imgpipe up",
                    f"aws lambda update-event-source-mapping --uuid {one.get('UUID')} "
                    f"--scaling-config MaximumConcurrency={max(2, function.reserved)}",
                ),
            )


def dead_letter_path(scene: Scene) -> Iterator[Fault]:
    """A queue, a function or a subscription whose failures end nowhere."""
    for queue in scene.queues.values():
        if queue.mappings and not queue.missing and not queue.dlq:
            yield _nowhere(
                f"queue {queue.name}",
                "a message that can't be done goes round until the queue drops it",
                scene.mend(
                    queue.name,
                    "imgpipe up",
                    f"aws sqs set-queue-attributes --queue-url {scene.url(queue.name)} "
                    "--attributes file://redrive-policy.json",
                ),
            )
        elif queue.dlq in scene.queues and scene.queues[queue.dlq].missing:
            yield _nowhere(
                f"queue {queue.name}",
                f"its dead-letter queue {last(queue.dlq)} is not there",
                scene.mend(
                    queue.name, "imgpipe up", f"aws sqs create-queue --queue-name {last(queue.dlq)}"
                ),
            )
    for function in scene.functions.values():
        callers = scene.callers(function)
        if callers and not function.missing and not function.on_failure:
            yield _nowhere(
                f"function {function.name}, called by {callers[0]},",
                "after three attempts an event is gone",
                scene.mend(
                    function.name,
                    "imgpipe up",
                    f"aws lambda put-function-event-invoke-config --function-name {function.name} "
                    "--destination-config file://on-failure.json",
                ),
            )
    for topic, one in scene.subscriptions():
        if one.get("Protocol") in {"sqs", "lambda"} and not dead_letter_target(one):
            name = last(one.get("Endpoint", ""))
            yield _nowhere(
                f"the subscription of {name} to topic {topic.name}",
                "what SNS isn't allowed to deliver is gone at once, without a retry",
                scene.mend(
                    name,
                    "imgpipe up",
                    f"aws sns set-subscription-attributes --subscription-arn {one.get('SubscriptionArn')} "
                    "--attribute-name RedrivePolicy --attribute-value file://redrive-policy.json",
                ),
            )


def _nowhere(what: str, why: str, command: str) -> Fault:
    return Fault(
        severity=Severity.RISK, what=f"{what} has no dead-letter queue", why=why, command=command
    )


def dead_letters(scene: Scene) -> Iterator[Fault]:
    """Work that failed for good. A refused upload is no fault of the pipeline."""
    for queue in scene.dead_letter_queues().values():
        if queue.visible and queue.name != _rejected(scene):
            yield _broken(
                f"{_waiting(queue)} in {queue.name}",
                "work failed for good and stays undone until somebody sends it again",
                scene.mend(queue.name, "imgpipe dlq groups", _peek(scene, queue)),
            )


def expiring(scene: Scene) -> Iterator[Fault]:
    """Dead letters that their queue is about to drop.

    A letter's time runs from when it was first sent, and its age is known since it became a letter: less is left.
    """
    for queue in scene.dead_letter_queues().values():
        left = queue.retention_s - scene.ages.get(queue.name, 0.0)
        if queue.visible and left < SOON_S:
            yield Fault(
                severity=Severity.BROKEN if left < DAY else Severity.RISK,
                what=f"letters in {queue.name} are dropped in {_hours(left)} or less",
                why=f"it keeps them for {queue.retention_s // DAY or 1} days since they were first sent",
                command=scene.mend(
                    queue.name,
                    "imgpipe dlq rescue",
                    f"aws sqs start-message-move-task --source-arn {queue.arn}",
                ),
            )


def retention(scene: Scene) -> Iterator[Fault]:
    """A dead-letter queue that keeps letters no longer than the queue they come from."""
    for queue in scene.queues.values():
        dead = scene.queues.get(queue.dlq)
        if dead is None or dead.missing or dead.retention_s >= LONGEST_S:
            continue
        if dead.retention_s <= queue.retention_s:
            yield Fault(
                severity=Severity.RISK,
                what=f"{dead.name} keeps letters for {_hours(dead.retention_s)}, no longer than {queue.name}",
                why="a letter's time runs from when it was first sent: one that waited long is dropped at once",
                command=scene.mend(
                    dead.name,
                    "imgpipe up",
                    f"aws sqs set-queue-attributes --queue-url {scene.url(dead.name)} "
                    f"--attributes MessageRetentionPeriod={LONGEST_S}",
                ),
            )


def open_policy(scene: Scene) -> Iterator[Fault]:
    """A queue or topic that lets in everybody."""
    things: list[Queue | Topic] = [*scene.queues.values(), *scene.topics.values()]
    for thing in things:
        if policy.is_open(thing.policy):
            kind = "queue" if thing.arn in scene.queues else "topic"
            yield Fault(
                severity=Severity.RISK,
                what=f"anybody in any account may use {kind} {thing.name}",
                why="its policy allows every principal, without a condition",
                command=scene.mend(
                    thing.name,
                    "imgpipe up",
                    f"aws sqs get-queue-attributes --queue-url {scene.url(thing.name)} --attribute-names Policy"
                    if kind == "queue"
                    else f"aws sns get-topic-attributes --topic-arn {thing.arn}",
                ),
            )


def _rejected(scene: Scene) -> str:
    return scene.graph.rejected_queue if scene.graph else ""


def _peek(scene: Scene, queue: Queue) -> str:
    return (
        f"aws sqs receive-message --queue-url {scene.url(queue.name)} --attribute-names All "
        "--visibility-timeout 0"
    )


def _waiting(queue: Queue) -> str:
    return f"{queue.visible:,} message{'' if queue.visible == 1 else 's'} waiting"


def _hours(seconds: float) -> str:
    if seconds >= 2 * DAY:
        return f"{seconds // DAY:.0f} days"
    return f"{max(seconds, 0) // HOUR:.0f} h"


def _broken(what: str, why: str, command: str) -> Fault:
    return Fault(severity=Severity.BROKEN, what=what, why=why, command=command)
