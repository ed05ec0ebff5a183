"""How a pipeline is, asked all at once: queues, functions, alarms, people who haven't confirmed,
images by status.

`ask` makes the calls, in parallel; `judge` decides from the answers what is wrong, and is pure.
What a live pipeline lacks (a queue or function that somebody deleted) is an answer too, not an
error. A rejected upload is no fault of the pipeline: it doesn't make it unhealthy, its rate alarm
does.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from imgpipe.cloud import FREE_SPACE, explain
from imgpipe.deploy.resources import Alarm, Subscription
from imgpipe.errors import MissingError
from imgpipe.operate import heard, metrics, rows
from imgpipe.operate.dlq import queues as dead_letters
from imgpipe.operate.times import iso

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from imgpipe.deploy.graph import Branch, Graph
    from imgpipe.operate.project import Project

WORKERS = 16
WORKER = "worker"
COUNTED_PAGES = 20
"""Pages of the index a status and shard are counted at most: 20 MB of rows. Then the number is a lower bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueState:
    """A queue's numbers, as SQS approximates them. `oldest_s` comes from CloudWatch, a minute or two late."""

    name: str
    full_name: str
    dead_letters: bool
    visible: int = 0
    in_flight: int = 0
    delayed: int = 0
    oldest_s: float | None = None
    missing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StepState:
    """A function, the steps that it runs, and how it fared in the last minutes. None: not known.

    Workers have no function; their `state` is `worker`: nobody but their queue knows of them.
    """

    name: str
    steps: tuple[str, ...]
    function: str | None
    queue: str | None
    dlq: str
    state: str
    mapping: str | None  # the state of what feeds it from its queue
    invocations: int | None = None
    errors: int | None = None
    failed_attempts: int | None = None  # messages given back by calls that are no error themselves
    throttles: int | None = None
    concurrency: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmState:
    name: str
    state: str  # OK, ALARM, INSUFFICIENT_DATA or MISSING
    reason: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unconfirmed:
    """An address that asked for notices and hasn't confirmed yet."""

    topic: str
    protocol: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that is wrong, and the command that shows or mends it."""

    what: str
    hint: str


NOT_UP = Fault(what="the pipeline is not up", hint="imgpipe up")


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    at: datetime
    queues: tuple[QueueState, ...]
    steps: tuple[StepState, ...]
    alarms: tuple[AlarmState, ...]
    unconfirmed: tuple[Unconfirmed, ...]
    images: Mapping[str, int]
    images_exact: bool
    unheard: tuple[str, ...] = ()  # what our notification of the bucket lacks, such as `topic NAME`
    table_missing: bool = False
    trouble: str = ""  # what keeps the cloud itself from working, such as a full disk
    faults: tuple[Fault, ...] = field(default=())

    @property
    def healthy(self) -> bool:
        return not self.faults

    @property
    def up(self) -> bool:
        return NOT_UP not in self.faults

    def as_json(self) -> dict[str, Any]:
        return {
            "healthy": self.healthy,
            "at": iso(self.at),
            "faults": [asdict(fault) for fault in self.faults],
            "images": dict(self.images),
            "images_exact": self.images_exact,
            "queues": [asdict(queue) for queue in self.queues],
            "steps": [asdict(step) for step in self.steps],
            "alarms": [
                {**asdict(alarm), "since": iso(alarm.since) if alarm.since else None}
                for alarm in self.alarms
            ],
            "unconfirmed": [asdict(address) for address in self.unconfirmed],
            "unheard": self.unheard,
        }


def ask(project: Project) -> Status:
    """Return how the pipeline is now. Raises CloudError when the cloud doesn't answer."""
    graph = project.graph
    with ThreadPoolExecutor(WORKERS, "imgpipe") as pool:
        numbers = pool.submit(metrics.latest, project)
        queues = [pool.submit(_queue, project, short, full) for short, full in graph.queues.items()]
        steps = [pool.submit(_step, project, branch) for branch in graph.branches]
        alarms = pool.submit(_alarms, project)
        unheard = pool.submit(heard.lacking, project)
        topics = dict.fromkeys(it.topic for it in graph.of(Subscription) if it.protocol == "email")
        unconfirmed = [pool.submit(_unconfirmed, project, topic) for topic in topics]
        counts = {status: pool.submit(_counted, project, status) for status in rows.STATUSES}
        known = numbers.result()
        images = {status: count.result() for status, count in counts.items()}
        found = Status(
            at=datetime.now(UTC),
            queues=tuple(_with_age(queue.result(), known) for queue in queues),
            steps=tuple(_with_numbers(step.result(), known) for step in steps),
            alarms=alarms.result(),
            unconfirmed=tuple(address for each in unconfirmed for address in each.result()),
            images={status: counted[0] for status, counted in images.items() if counted},
            images_exact=all(counted[1] for counted in images.values() if counted),
            unheard=unheard.result(),
            table_missing=None in images.values(),
            trouble=project.cloud.trouble,
        )
    return judge(found)


def judge(found: Status) -> Status:
    """Return `found` with what is wrong in it, the gravest first.

    Where the table or most of the rest is missing, that is all there is to say.
    """
    return replace(found, faults=(NOT_UP,) if _is_down(found) else tuple(_faults(found)))


def _is_down(found: Status) -> bool:
    missing = [queue.missing for queue in found.queues]
    missing += [step.state == "missing" for step in found.steps]
    missing += [alarm.state == "MISSING" for alarm in found.alarms]
    return found.table_missing or 2 * sum(missing) > len(missing)


def _faults(found: Status) -> list[Fault]:
    gone = [f"queue {queue.name}" for queue in found.queues if queue.missing]
    gone += [f"function {step.name}" for step in found.steps if step.state == "missing"]
    gone += [f"alarm {alarm.name}" for alarm in found.alarms if alarm.state == "MISSING"]
    faults = (
        [Fault(what=f"the embedded cloud: {found.trouble}", hint=FREE_SPACE)]
        if found.trouble
        else []
    )
    faults += [Fault(what=f"{name} is not there", hint="imgpipe up") for name in gone]
    if found.unheard:
        faults.append(
            Fault(what=f"the uploads bucket: {heard.says(found.unheard)}", hint="imgpipe up")
        )
    faults += [
        Fault(what=f"function {step.name} is {step.state}", hint="imgpipe up")
        for step in found.steps
        if step.state not in {"Active", "missing", WORKER}
    ]
    faults += [
        Fault(
            what=f"nothing takes messages from queue {step.queue}: its mapping is {step.mapping}",
            hint="imgpipe up",
        )
        for step in found.steps
        if step.mapping not in {None, "Enabled", "Enabling", "Creating", "Updating"}
    ]
    faults += [
        Fault(
            what=f"{queue.visible:,} dead letter{'s' * (queue.visible > 1)} in {queue.name}",
            hint=f"imgpipe dlq list --queue {queue.name}",
        )
        for queue in found.queues
        if queue.dead_letters and queue.visible and queue.name != "rejected"
    ]
    faults += [
        Fault(what=f"alarm {alarm.name}{_clears(alarm, found.queues)}", hint=_about(alarm.name))
        for alarm in found.alarms
        if alarm.state == "ALARM"
    ]
    return faults


def _clears(alarm: AlarmState, queues: Sequence[QueueState]) -> str:
    """Return that an alarm is about letters that are gone; its metric comes once a minute."""
    empty = any(queue.full_name == alarm.name and not queue.visible for queue in queues)
    return ": its queue is empty again, it clears by itself in a minute or two" if empty else ""


def _about(alarm: str) -> str:
    """Return the command that shows what an alarm is about; their names say it by how they end."""
    if alarm.endswith("-errors"):
        return "imgpipe logs --since 30m"
    return "imgpipe watch" if alarm.endswith("-age") else "imgpipe dlq list"


def _queue(project: Project, short: str, full: str) -> QueueState:
    graph = project.graph
    dead = full == graph.rejected_queue or any(
        graph.place.queue_url(full) == home.url for home in dead_letters.homes(graph)
    )
    sqs = project.cloud.client("sqs")
    blank = QueueState(name=short, full_name=full, dead_letters=dead)
    answer = _or_none(
        partial(
            sqs.get_queue_attributes,
            QueueUrl=graph.place.queue_url(full),
            AttributeNames=[
                "ApproximateNumberOfMessages",
                "ApproximateNumberOfMessagesNotVisible",
                "ApproximateNumberOfMessagesDelayed",
            ],
        ),
        f"queue {short}",
    )
    if answer is None:
        return QueueState(**{**asdict(blank), "missing": True})
    numbers = answer["Attributes"]
    return QueueState(
        **{
            **asdict(blank),
            "visible": int(numbers["ApproximateNumberOfMessages"]),
            "in_flight": int(numbers["ApproximateNumberOfMessagesNotVisible"]),
            "delayed": int(numbers["ApproximateNumberOfMessagesDelayed"]),
        }
    )


def _step(project: Project, branch: Branch) -> StepState:
    blank = StepState(
        name=branch.name,
        steps=branch.steps,
        function=branch.function,
        queue=_short(project.graph, branch.queue),
        dlq=_short(project.graph, branch.dlq) or branch.dlq,
        state=WORKER,
        mapping=None,
    )
    if branch.function is None:
        return blank
    functions = project.cloud.client("lambda")
    answer = _or_none(
        partial(functions.get_function_configuration, FunctionName=branch.function),
        f"function {branch.name}",
    )
    mapping = None
    if branch.queue and answer is not None:
        found = functions.list_event_source_mappings(
            FunctionName=branch.function, EventSourceArn=project.graph.place.queue_arn(branch.queue)
        )["EventSourceMappings"]
        mapping = str(found[0]["State"]) if found else "missing"
    state = "missing" if answer is None else _function_state(answer)
    return replace(blank, state=state, mapping=mapping)


def _function_state(answer: Mapping[str, Any]) -> str:
    if answer.get("LastUpdateStatus") == "Failed":
        return "update failed"
    return str(answer.get("State", "Active"))


def _alarms(project: Project) -> tuple[AlarmState, ...]:
    client = project.cloud.client("cloudwatch")
    declared = [alarm.name for alarm in project.graph.of(Alarm)]
    found: dict[str, Mapping[str, Any]] = {}
    for page in client.get_paginator("describe_alarms").paginate(
        AlarmNamePrefix=f"{project.graph.pipeline}-{project.graph.environment}-",
        AlarmTypes=["MetricAlarm"],
    ):
        found.update((alarm["AlarmName"], alarm) for alarm in page["MetricAlarms"])
    return tuple(_alarm(name, found.get(name)) for name in declared)


def _alarm(name: str, found: Mapping[str, Any] | None) -> AlarmState:
    if found is None:
        return AlarmState(name=name, state="MISSING")
    since = found.get("StateTransitionedTimestamp") or found.get("StateUpdatedTimestamp")
    return AlarmState(
        name=name, state=found["StateValue"], reason=found.get("StateReason", ""), since=since
    )


def _unconfirmed(project: Project, topic: str) -> list[Unconfirmed]:
    client, arn = project.cloud.client("sns"), project.graph.place.topic_arn(topic)
    short = next((name for name, full in project.graph.topics.items() if full == topic), topic)
    call = partial(_subscriptions, client, arn)
    return [
        Unconfirmed(topic=short, protocol=it["Protocol"], address=it["Endpoint"])
        for it in _or_none(call, f"topic {short}") or []
        if it["SubscriptionArn"].lower().replace(" ", "") == "pendingconfirmation"
    ]


def _subscriptions(client: Any, arn: str) -> list[Mapping[str, Any]]:
    pages = client.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=arn)
    return [subscription for page in pages for subscription in page["Subscriptions"]]


def _counted(project: Project, status: str) -> tuple[int, bool] | None:
    """Return how many images have `status`, and whether that is all; None without a table."""
    counted: tuple[int, bool] | None = _or_none(
        partial(rows.count, project, status, COUNTED_PAGES), "the table"
    )
    return counted


def _or_none(call: Callable[[], Any], what: str) -> Any:
    """Return the answer; None when what was asked about isn't there."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return call()
    except (BotoCoreError, ClientError, MissingError) as error:
        known = explain(error, what)
        if isinstance(known, MissingError):
            return None
        raise known from error


def _with_age(queue: QueueState, known: metrics.Known) -> QueueState:
    return QueueState(**{**asdict(queue), "oldest_s": known.get((queue.full_name, metrics.AGE))})


def _with_numbers(step: StepState, known: metrics.Known) -> StepState:
    function = step.function or ""
    numbers = {
        word: known.get((function, metric)) for word, metric in metrics.FUNCTION_WORDS.items()
    }
    whole = {word: None if number is None else round(number) for word, number in numbers.items()}
    return StepState(**{**{name: getattr(step, name) for name in step.__slots__}, **whole})


def _short(graph: Graph, full: str | None) -> str | None:
    return next((short for short, name in graph.queues.items() if name == full), None)


def totals(queues: Sequence[QueueState]) -> tuple[int, int]:
    """Return how many messages wait for work, and how many dead letters there are."""
    waiting = sum(
        queue.visible + queue.in_flight + queue.delayed
        for queue in queues
        if not queue.dead_letters
    )
    return waiting, sum(queue.visible for queue in queues if queue.dead_letters)
