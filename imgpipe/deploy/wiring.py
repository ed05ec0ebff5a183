"""The parts of a pipeline's graph: storage, the branches of pipeline.yaml, and the house's own
functions.

A branch is a function with everything that is its alone: role, log group, queue or permission,
subscription, dead-letter queue. Nothing outside names it but the topic that it subscribes to, whose
policy doesn't change with its subscribers: so that adding or removing a branch touches that branch.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from imgpipe.deploy import policies, steps
from imgpipe.deploy import resources as r
from imgpipe.deploy.names import (
    ALARMS,
    COMPLETED,
    CREATED_TOPIC,
    DLQ_ENDING,
    NOTICES,
    NOTIFIER,
    OPERATIONS,
    REJECTED,
    REMOVED_TOPIC,
    RESULTS,
    WRITER,
    Names,
)
from imgpipe.runtime import row
from imgpipe.runtime.settings import SETTINGS_VARIABLE, Limits, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from imgpipe.deploy.model import Spec
    from imgpipe.deploy.policies import Statement
    from imgpipe.deploy.steps import Group, Running

DLQ_RETENTION_S = 14 * 86_400
NONCURRENT_DAYS = 30
ASYNC_ATTEMPTS = 3
HANDLER = "handler.handler"
MESSENGER_MEMORY_MB = 512
"""For the writer and the notifier, which read and write short messages."""

CREATED_EVENTS = ("s3:ObjectCreated:*",)
REMOVED_EVENTS = ("s3:LifecycleExpiration:*", "s3:ObjectRemoved:*")
"""Expiry by a lifecycle rule is not among S3's ObjectRemoved events."""


class Host(NamedTuple):
    """What functions run on."""

    runtime: str
    architecture: Literal["x86_64", "arm64"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """One function and the way its messages reach it.

    `name` is short: the group's, or the single step's. `dlq` holds SQS dead letters, what the
    subscription could not deliver, and Lambda's on-failure records. Without a `queue` SNS invokes
    the function directly.
    """

    name: str
    steps: tuple[str, ...]
    function: str
    log_group: str
    queue: str | None
    dlq: str
    topic: str | None


@dataclass(slots=True)
class Build:
    """A graph in the making: what it is made from, and what there is so far."""

    spec: Spec
    names: Names
    code_hashes: Mapping[str, str]
    host: Host
    resources: list[r.Resource] = field(default_factory=list)
    branches: list[Branch] = field(default_factory=list)
    topics: dict[str, str] = field(default_factory=dict)
    queues: dict[str, str] = field(default_factory=dict)

    @property
    def place(self) -> r.Place:
        return self.names.place

    def add(self, *made: r.Resource) -> None:
        self.resources.extend(made)

    def queue_arn(self, short: str) -> str:
        return self.place.queue_arn(self.names.part(short))

    def topic_arn(self, short: str) -> str:
        return self.place.topic_arn(self.names.part(short))

    def bucket_arn(self, short: str) -> str:
        return self.place.bucket_arn(self.names.bucket(short))

    @property
    def notices(self) -> tuple[str, ...]:
        """The kinds of notice that somebody asked for."""
        return tuple(kind for kind, notice in self.spec.notify.kinds if notice.addresses)

    @property
    def tidy(self) -> Group | None:
        """The group that deletes variants; the writer sends it what no row names."""
        return next(
            (group for group in steps.groups(self.spec) if group.source == steps.TIDY), None
        )


def wire(build: Build) -> None:
    """Add everything but the alarms."""
    groups = steps.groups(build.spec)
    _storage(build)
    _topics(build, removals=any(group.on == "removed" for group in groups))
    _queue(build, REJECTED, retention_s=DLQ_RETENTION_S)
    for group in groups:
        _step_branch(build, group)
    _writer(build)
    if build.notices:
        _notifier(build)
    _people(build)
    _notification(build)


def _storage(build: Build) -> None:
    uploads, variants = build.names.bucket("uploads"), build.names.bucket("variants")
    build.add(
        r.Bucket(
            name=uploads,
            versioning=True,
            noncurrent_days=NONCURRENT_DAYS,
            policy=policies.bucket(build.place.bucket_arn(uploads)),
        ),
        r.Bucket(
            name=variants,
            versioning=False,
            policy=policies.bucket(build.place.bucket_arn(variants)),
        ),
        r.Table(
            name=build.names.part("images"),
            hash_key="pk",
            range_key="sk",
            indexes=(r.Index(name=row.INDEX, hash_key="status_shard", range_key="uploaded_at"),),
            recovery=build.spec.table.recovery,
        ),
    )


def _topics(build: Build, *, removals: bool) -> None:
    uploads = build.bucket_arn("uploads")
    for short in (CREATED_TOPIC, *([REMOVED_TOPIC] if removals else [])):
        _topic(build, short, policies.s3_publishes(build.topic_arn(short), uploads, build.place))
    _topic(build, COMPLETED)
    if build.notices:
        _topic(build, NOTICES)
    alarm_arns = build.place.alarm_arn(build.names.part("*"))
    _topic(build, ALARMS, policies.alarms_publish(build.topic_arn(ALARMS), alarm_arns, build.place))


def _topic(build: Build, short: str, *publishers: Statement) -> None:
    name = build.names.part(short)
    build.topics[short] = name
    display = f"{build.spec.name} {build.names.environment}" if short in {NOTICES, ALARMS} else ""
    build.add(
        r.Topic(
            name=name,
            policy=policies.topic(build.place.topic_arn(name), *publishers),
            display_name=display,
        )
    )


def _queue(
    build: Build,
    short: str,
    *,
    topics: Sequence[str] = (),
    retention_s: int = DLQ_RETENTION_S,
    running: Running | None = None,
) -> str:
    """Add a queue that `topics` (short names) may send to. With `running` it is a work queue with a
    DLQ.
    """
    name = build.names.part(short)
    policy = policies.queue(
        build.place.queue_arn(name), [build.topic_arn(topic) for topic in topics]
    )
    build.queues[short] = name
    if running is None:
        build.add(r.Queue(name=name, policy=policy, retention_s=retention_s))
    else:
        build.add(
            r.Queue(
                name=name,
                policy=policy,
                visibility_s=running.visibility_s,
                retention_s=running.retention_s,
                dlq=build.names.dlq(short),
                max_receives=running.retries,
            )
        )
    return name


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a branch is made from. `topics` feed it, each with a filter policy; `queue` is its
    queue's short name.
    """

    name: str
    source: str
    settings: Settings
    statements: tuple[Statement, ...]
    running: Running
    via: Literal["function", "queue"]
    queue: str
    topics: tuple[tuple[str, str], ...] = ()
    steps: tuple[str, ...] = ()


def _step_branch(build: Build, group: Group) -> None:
    """Add a branch of pipeline.yaml."""
    created = group.on == "created"
    statements = _image_statements(build, group) if created else _tidy_statements(build)
    settings = replace(
        _settings(build, group.name),
        expected=tuple(build.spec.created) if created else (),
        settings_hash=steps.settings_hash(build.spec) if created else "",
        steps={name: steps.with_hash(step) for name, step in group.steps.items()}
        if created
        else {},
        results_queue_url=_url(build, RESULTS),
        rejected_queue_url=_url(build, REJECTED) if created else "",
        limits=_limits(build.spec),
        max_receives=group.running.retries if group.via == "queue" else ASYNC_ATTEMPTS,
    )
    _branch(
        build,
        Work(
            name=group.name,
            source=group.source,
            settings=settings,
            statements=statements,
            running=group.running,
            via=group.via,
            queue=group.name,
            topics=((CREATED_TOPIC if created else REMOVED_TOPIC, ""),),
            steps=tuple(group.steps),
        ),
    )


def _image_statements(build: Build, group: Group) -> tuple[Statement, ...]:
    folders = {variant: None for step in group.steps.values() for variant in step.variants}
    folders |= {name: None for name, step in group.steps.items() if step.lambda_.source}
    written = (
        [policies.write_variants(build.bucket_arn("variants"), list(folders))] if folders else []
    )
    return (
        *policies.read_uploads(build.bucket_arn("uploads"), build.spec.uploads.prefix),
        *written,
        policies.send("Report", [build.queue_arn(RESULTS), build.queue_arn(REJECTED)]),
    )


def _tidy_statements(build: Build) -> tuple[Statement, ...]:
    return (
        *policies.read_uploads(build.bucket_arn("uploads"), build.spec.uploads.prefix),
        *policies.delete_variants(build.bucket_arn("variants"), OPERATIONS),
        policies.send("Report", [build.queue_arn(RESULTS)]),
    )


def _writer(build: Build) -> None:
    running = _messenger(build)
    tidy = build.tidy
    settings = replace(
        _settings(build, WRITER),
        table=build.names.part("images"),
        completed_topic_arn=build.topic_arn(COMPLETED),
        tidy_queue_url=_url(build, tidy.name) if tidy else "",
        max_receives=running.retries,
    )
    to_tidy = [policies.send("Tidy", [build.queue_arn(tidy.name)])] if tidy else []
    _branch(
        build,
        Work(
            name=WRITER,
            source=steps.WRITER,
            settings=settings,
            statements=(
                policies.rows(
                    build.place.table_arn(build.names.part("images")), "GetItem", "PutItem"
                ),
                policies.publish(build.topic_arn(COMPLETED)),
                *to_tidy,
            ),
            running=running,
            via="queue",
            queue=RESULTS,
        ),
    )


def _notifier(build: Build) -> None:
    settings = replace(
        _settings(build, NOTIFIER),
        table=build.names.part("images"),
        notices_topic_arn=build.topic_arn(NOTICES),
        notices=build.notices,
        max_receives=ASYNC_ATTEMPTS,
    )
    _branch(
        build,
        Work(
            name=NOTIFIER,
            source=steps.NOTIFIER,
            settings=settings,
            statements=(
                policies.rows(build.place.table_arn(build.names.part("images")), "PutItem"),
                policies.publish(build.topic_arn(NOTICES)),
            ),
            running=_messenger(build),
            via="function",
            queue=NOTIFIER,
            topics=tuple(_heard_by_notifier(build.notices)),
        ),
    )


def _heard_by_notifier(notices: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the topics that the notifier needs, each filtered to what somebody asked for."""
    if "uploaded" in notices:
        yield CREATED_TOPIC, ""
    statuses = [
        *(["done"] if "completed" in notices else []),
        *(["failed", "rejected"] if "failed" in notices else []),
    ]
    if statuses:
        yield COMPLETED, "" if len(statuses) == 3 else r.canonical({"status": statuses})


def _messenger(build: Build) -> Running:
    """How the house's own functions run: as the pipeline's `lambda` says, but small and without a
    concurrency limit.
    """
    base = steps.running(build.spec.lambda_)
    return replace(
        base,
        memory_mb=min(base.memory_mb, MESSENGER_MEMORY_MB),
        concurrency=None,
        reserved=None,
        tmp_mb=512,
    )


def _branch(build: Build, work: Work) -> None:
    """Add a function and all that is its alone."""
    short_dlq = work.queue + DLQ_ENDING
    topics = [topic for topic, _ in work.topics]
    dlq = _queue(build, short_dlq, topics=topics)
    function = build.names.part(work.name)
    if work.via == "queue":
        feed, queue = _through_queue(build, work, function, topics), build.names.part(work.queue)
    else:
        feed, queue = _directly(build, work, function, dlq), None
    log_group = build.names.log_group(work.name)
    build.add(
        r.LogGroup(name=log_group, retention_days=work.running.log_days),
        r.Role(
            name=build.names.role(work.name),
            trust=policies.TRUST_LAMBDA,
            policy=policies.document(
                [policies.logs(build.place.log_group_arn(log_group)), feed, *work.statements]
            ),
        ),
        _function(build, work, function, log_group),
    )
    build.add(
        *(
            r.Subscription(
                topic=build.names.part(topic),
                protocol="sqs" if queue else "lambda",
                endpoint=queue or function,
                dlq=dlq,
                filter_policy=filter_policy,
            )
            for topic, filter_policy in work.topics
        )
    )
    build.branches.append(
        Branch(
            name=work.name,
            steps=work.steps,
            function=function,
            log_group=log_group,
            queue=queue,
            dlq=dlq,
            topic=build.names.part(topics[0]) if topics else None,
        )
    )


def _through_queue(build: Build, work: Work, function: str, topics: Sequence[str]) -> Statement:
    """Put a queue in front of the function; return what its role needs for that."""
    queue = _queue(build, work.queue, topics=topics, running=work.running)
    concurrency = work.running.concurrency
    build.add(
        r.Mapping(
            queue=queue,
            function=function,
            batch=work.running.batch,
            window_s=work.running.window_s,
            max_concurrency=concurrency,
        )
    )
    return policies.consume(build.queue_arn(work.queue))


def _directly(build: Build, work: Work, function: str, dlq: str) -> Statement:
    """Let the topics invoke the function; return what its role needs for its failures to reach
    `dlq`.
    """
    build.add(r.AsyncInvoke(function=function, on_failure=dlq, retries=ASYNC_ATTEMPTS - 1))
    build.add(
        *(
            r.Permission(
                function=function,
                statement_id=f"sns-{topic}",
                principal="sns.amazonaws.com",
                source_arn=build.topic_arn(topic),
            )
            for topic, _ in work.topics
        )
    )
    return policies.send("Failures", [build.place.queue_arn(dlq)])


def _function(build: Build, work: Work, name: str, log_group: str) -> r.Function:
    running = work.running
    reserved = running.reserved or (running.concurrency if work.via == "function" else None)
    return r.Function(
        name=name,
        role=build.names.role(work.name),
        source=work.source,
        handler=HANDLER,
        runtime=build.host.runtime,
        architecture=build.host.architecture,
        memory_mb=running.memory_mb,
        timeout_s=running.timeout_s,
        tmp_mb=running.tmp_mb,
        environment=((SETTINGS_VARIABLE, work.settings.dumps()),),
        code_hash=build.code_hashes[work.source],
        log_group=log_group,
        reserved_concurrency=reserved,
    )


Address = tuple[Literal["email", "sms", "application"], str]


def _people(build: Build) -> None:
    """Subscribe people: each address once, for the kinds that it asked for; `failed` also to the
    alarms.
    """
    notify = build.spec.notify
    kinds: dict[Address, list[str]] = {}
    for kind, notice in notify.kinds:
        for address in notice.addresses:
            kinds.setdefault(address, []).append(kind)
    if not kinds:
        return
    dlq = _queue(build, NOTICES + DLQ_ENDING, topics=[NOTICES, ALARMS])
    for address, asked in kinds.items():
        wanted = "" if len(asked) == len(build.notices) else r.canonical({"kind": asked})
        build.add(_person(build, NOTICES, address, dlq, wanted))
    build.add(*(_person(build, ALARMS, address, dlq) for address in notify.failed.addresses))


def _person(
    build: Build, topic: str, address: Address, dlq: str, filter_policy: str = ""
) -> r.Subscription:
    protocol, endpoint = address
    return r.Subscription(
        topic=build.names.part(topic),
        protocol=protocol,
        endpoint=endpoint,
        dlq=dlq,
        filter_policy=filter_policy,
    )


def _notification(build: Build) -> None:
    """Tell S3 to publish, once everything that listens is in place."""
    rules = [
        r.Rule(
            id=f"{build.names.rule_prefix}{short}{ending}",
            events=events,
            target=r.Key("topic", build.topics[short]),
            prefix=build.spec.uploads.prefix,
            suffix=suffix,
        )
        for short, events in ((CREATED_TOPIC, CREATED_EVENTS), (REMOVED_TOPIC, REMOVED_EVENTS))
        if short in build.topics
        for suffix, ending in _spellings(build.spec.uploads.suffixes)
    ]
    listeners = [
        made.key
        for made in build.resources
        if isinstance(made, r.Subscription | r.Permission | r.Mapping)
    ]
    build.add(
        r.Notification(
            bucket=build.names.bucket("uploads"),
            id_prefix=build.names.rule_prefix,
            rules=tuple(sorted(rules, key=lambda rule: rule.id)),
            waits_for=tuple(listeners),
        )
    )


def _spellings(suffixes: Sequence[str]) -> list[tuple[str, str]]:
    """Return each suffix in lower, upper and title case, because S3 compares letter by letter; with
    an id's ending.
    """
    if not suffixes:
        return [("", "")]
    spelled = {
        form: None for suffix in suffixes for form in (suffix, suffix.upper(), suffix.title())
    }
    return [(form, form.replace(".", "-")) for form in spelled]


def _settings(build: Build, function: str) -> Settings:
    """Return what every function is told."""
    return Settings(
        pipeline=build.spec.name,
        environment=build.names.environment,
        function=function,
        uploads_bucket=build.names.bucket("uploads"),
        variants_bucket=build.names.bucket("variants"),
        prefix=build.spec.uploads.prefix,
    )


def _limits(spec: Spec) -> Limits:
    limits = spec.uploads.limits
    return Limits(
        max_bytes=limits.bytes,
        max_pixels=limits.pixels,
        max_frames=limits.frames,
        decode_s=float(limits.decode),
    )


def _url(build: Build, short: str) -> str:
    return build.place.queue_url(build.names.part(short))
