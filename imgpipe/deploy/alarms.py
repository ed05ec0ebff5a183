"""When a person is told. Every alarm speaks to the `alarms` topic, which the addresses under
`notify.failed` hear.

SQS gives no numbers for a queue that nobody used for six hours: missing data means "nothing wrong".
An alarm on a dead-letter queue has the queue's own name, so that one finds the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgpipe.deploy import steps
from imgpipe.deploy.names import ALARMS, REJECTED
from imgpipe.deploy.resources import Alarm, Queue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgpipe.deploy.building import Branch, Build

ERRORS_PERIOD_S = 300


def watch(build: Build) -> None:
    """Add the alarms for what is in `build` so far."""
    dead = [
        made.name
        for made in build.resources
        if isinstance(made, Queue) and made.name.endswith("-dlq")
    ]
    build.add(*(_dead_letters(build, queue) for queue in dead))
    build.add(
        *(
            alarm
            for branch in (*build.branches, *build.called)
            for alarm in _branch_alarms(build, branch)
        )
    )
    build.add(_rejections(build))


def _branch_alarms(build: Build, branch: Branch) -> Iterator[Alarm]:
    if branch.queue:
        yield _age(build, branch.queue)
    if branch.function:
        yield _errors(build, branch.function)


def _dead_letters(build: Build, queue: str) -> Alarm:
    return Alarm(
        name=queue,
        description=f"Work of {build.names.prefix} failed for good: imgpipe dlq list",
        namespace="AWS/SQS",
        metric="ApproximateNumberOfMessagesVisible",
        dimensions=(("QueueName", queue),),
        statistic="Maximum",
        period_s=60,
        evaluation_periods=1,
        datapoints_to_alarm=1,
        threshold=float(build.spec.alarms.dlq),
        comparison="GreaterThanOrEqualToThreshold",
        action=build.names.part(ALARMS),
    )


def _age(build: Build, queue: str) -> Alarm:
    return Alarm(
        name=f"{queue}-age",
        description="The oldest message waits too long: imgpipe status",
        namespace="AWS/SQS",
        metric="ApproximateAgeOfOldestMessage",
        dimensions=(("QueueName", queue),),
        statistic="Maximum",
        period_s=60,
        evaluation_periods=5,
        datapoints_to_alarm=3,
        threshold=float(build.spec.alarms.age),
        comparison="GreaterThanThreshold",
        action=build.names.part(ALARMS),
    )


def _errors(build: Build, function: str) -> Alarm:
    return Alarm(
        name=f"{function}-errors",
        description="The function raises, or is killed for its time or memory: imgpipe logs",
        namespace="AWS/Lambda",
        metric="Errors",
        dimensions=(("FunctionName", function),),
        statistic="Sum",
        period_s=ERRORS_PERIOD_S,
        evaluation_periods=1,
        datapoints_to_alarm=1,
        threshold=float(build.spec.alarms.errors),
        comparison="GreaterThanOrEqualToThreshold",
        action=build.names.part(ALARMS),
    )


def _rejections(build: Build) -> Alarm:
    """One customer's text file is no emergency; many of them are: this alarm is about a rate.

    Every function that works on uploads refuses a bad one for itself, so an upload leaves as many letters as there are
    such functions.
    """
    rate, queue = build.spec.alarms.rejected, build.names.part(REJECTED)
    letters = sum(group.on == "created" for group in steps.groups(build.spec))
    return Alarm(
        name=f"{queue}-rate",
        description=f"{rate.times} uploads or more are refused, {letters} letters each: imgpipe dlq list",
        namespace="AWS/SQS",
        metric="NumberOfMessagesSent",
        dimensions=(("QueueName", queue),),
        statistic="Sum",
        period_s=rate.period_s,
        evaluation_periods=1,
        datapoints_to_alarm=1,
        threshold=float(rate.times * letters),
        comparison="GreaterThanOrEqualToThreshold",
        action=build.names.part(ALARMS),
    )
