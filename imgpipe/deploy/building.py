"""A graph in the making, and how its parts are added: topics, queues, and branches.

A branch is a function with everything that is its alone: role, log group, queue or permission,
subscription, dead-letter queue; or, for workers, the same without function, mapping and log group.
Nothing outside names it but the topic that it subscribes to, whose policy doesn't change with its
subscribers: so that adding or removing a branch touches that branch.
What a pipeline consists of is in `wiring`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple

from imgpipe.deploy import policies, steps, triggers
from imgpipe.deploy import resources as r
from imgpipe.deploy.names import ALARMS, DLQ_ENDING, NOTICES, Names
from imgpipe.runtime.settings import CODE_HASH_VARIABLE, SETTINGS_VARIABLE, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from imgpipe.deploy.model import Spec
    from imgpipe.deploy.policies import Statement
    from imgpipe.deploy.steps import Group, Running
    from imgpipe.deploy.triggers import Feed, Sender

DLQ_RETENTION_S = 14 * 86_400
ASYNC_ATTEMPTS = 3
HANDLER = "imgpipe.runtime.entry.handler"

Via = Literal["function", "queue", "worker"]


class Host(NamedTuple):
    """What functions run on."""

    runtime: str
    architecture: Literal["x86_64", "arm64"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """One function, or the workers in its place, and the way its messages reach it.

    `name` is short: the group's, or the single step's. `dlq` holds SQS dead letters, what the
    subscription could not deliver, and Lambda's on-failure records. Without a `queue` SNS invokes
    the function directly. Workers have no function and no log group; `environment` is what either
    of them runs with.
    """

    name: str
    steps: tuple[str, ...]
    via: Via
    source: str
    environment: Mapping[str, str]
    running: Running
    role: str
    function: str | None
    log_group: str | None
    queue: str | None
    dlq: str
    topic: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a branch is made from. `feed` is how its messages come; `queue` is its queue's
    short name.
    """

    name: str
    source: str
    settings: Settings
    statements: tuple[Statement, ...]
    running: Running
    via: Via
    queue: str
    feed: Feed = triggers.NOTHING
    steps: tuple[str, ...] = ()
    waits_for: tuple[r.Key, ...] = ()


@dataclass(slots=True)
class Build:
    """A graph in the making: what it is made from, and what there is so far."""

    spec: Spec
    names: Names
    code_hashes: Mapping[str, str]
    host: Host
    resources: list[r.Resource] = field(default_factory=list)
    branches: list[Branch] = field(default_factory=list)
    called: list[Branch] = field(default_factory=list)
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
        notify = self.spec.notify
        others = {"completed", "failed"} if notify.uploaders else set()
        return tuple(kind for kind, it in notify.kinds if it.addresses or kind in others)

    @property
    def tidy(self) -> Group | None:
        """The group that deletes variants; the writer sends it what no row names."""
        return next(
            (group for group in steps.groups(self.spec) if group.source == steps.TIDY), None
        )


def add_topic(build: Build, short: str, *publishers: Statement) -> None:
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


def add_queue(
    build: Build,
    short: str,
    *,
    topics: Sequence[str] = (),
    senders: Sequence[Sender] = (),
    retention_s: int = DLQ_RETENTION_S,
    running: Running | None = None,
) -> str:
    """Add a queue that `topics` (short names) and `senders` may send to. With `running` it is a work queue with a
    DLQ.
    """
    name = build.names.part(short)
    policy = policies.queue(
        build.place.queue_arn(name), [build.topic_arn(topic) for topic in topics], senders
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
                max_receives=running.receives,
            )
        )
    return name


def add_branch(build: Build, work: Work) -> None:
    """Add a function, or the queue and role of workers, and all that is its alone."""
    short_dlq = work.queue + DLQ_ENDING
    feed = work.feed
    topics = [topic for topic, _, _ in feed.topics]
    dlq = add_queue(build, short_dlq, topics=topics, senders=feed.senders if feed.pattern else ())
    function = build.names.part(work.name)
    settings = _settings(build, work)
    queue = None
    if work.via != "function":
        queue = add_queue(
            build, work.queue, topics=topics, senders=feed.senders, running=work.running
        )
    if work.via == "worker":
        build.add(_role(build, work, policies.trust_workers(build.place)))
    else:
        _add_function(build, work, function, settings, dlq)
    _listen(build, work, queue, dlq)
    build.branches.append(_branch(build, work, settings, queue, dlq))


def _branch(build: Build, work: Work, settings: Settings, queue: str | None, dlq: str) -> Branch:
    topics = [topic for topic, _, _ in work.feed.topics]
    return Branch(
        name=work.name,
        steps=work.steps,
        via=work.via,
        source=work.source,
        environment=MappingProxyType(
            {
                SETTINGS_VARIABLE: settings.dumps(),
                CODE_HASH_VARIABLE: build.code_hashes[work.source],
            }
        ),
        running=work.running,
        role=build.names.role(work.name),
        function=None if work.via == "worker" else build.names.part(work.name),
        log_group=None if work.via == "worker" else build.names.log_group(work.name),
        queue=queue,
        dlq=dlq,
        topic=build.names.part(topics[0]) if topics else None,
    )


def add_behind_url(
    build: Build, work: Work, auth: Literal["AWS_IAM", "NONE"], origins: Sequence[str]
) -> None:
    """Add a function that is called and answers at once: nothing waits for it, so it has no queue of any kind."""
    function, log_group = build.names.part(work.name), build.names.log_group(work.name)
    write_log = policies.logs(build.place.log_group_arn(log_group))
    build.add(
        r.LogGroup(name=log_group, retention_days=work.running.log_days),
        _role(build, work, policies.TRUST_LAMBDA, write_log),
        _function(build, work, function, work.settings),
        r.FunctionUrl(function=function, auth=auth, origins=tuple(origins)),
    )
    build.called.append(_branch(build, work, work.settings, None, ""))
    for statement_id, action in r.URL_STATEMENTS.items() if auth == "NONE" else ():
        build.add(
            r.Permission(function=function, statement_id=statement_id, principal="*", action=action)
        )


def _listen(build: Build, work: Work, queue: str | None, dlq: str) -> None:
    """Subscribe the branch to its topics, or give it its rule on the event bus."""
    function = build.names.part(work.name)
    build.add(
        *(
            r.Subscription(
                topic=build.names.part(topic),
                protocol="sqs" if queue else "lambda",
                endpoint=queue or function,
                dlq=dlq,
                filter_policy=filter_policy,
                filter_scope=scope,
            )
            for topic, filter_policy, scope in work.feed.topics
        )
    )
    if work.feed.pattern:
        target = r.Key("queue", queue) if queue else r.Key("function", function)
        build.add(r.EventRule(name=function, pattern=work.feed.pattern, target=target, dlq=dlq))


def _settings(build: Build, work: Work) -> Settings:
    """Return the work's settings, with the queue that it takes its messages from."""
    if work.via == "function":
        return work.settings
    url = build.place.queue_url(build.names.part(work.queue))
    return replace(work.settings, queue_url=url, backoff_s=work.running.backoff_s)


def _role(build: Build, work: Work, trust: str, *statements: Statement) -> r.Role:
    queue, by_worker = build.queue_arn(work.queue), work.via == "worker"
    feed = [] if work.via == "function" else [policies.consume(queue, by_worker=by_worker)]
    kms_key, uploads = build.spec.uploads.kms_key, build.bucket_arn("uploads")
    key = policies.use_key(kms_key, uploads, build.place, work.statements) if kms_key else []
    return r.Role(
        name=build.names.role(work.name),
        trust=trust,
        policy=policies.document([*statements, *feed, *work.statements, *key]),
    )


def _add_function(build: Build, work: Work, function: str, settings: Settings, dlq: str) -> None:
    log_group = build.names.log_group(work.name)
    statements = [policies.logs(build.place.log_group_arn(log_group))]
    if work.via == "function":
        _directly(build, work, function, dlq)
        statements.append(policies.send("Failures", [build.place.queue_arn(dlq)]))
        if work.running.on_success:
            statements.append(policies.tell(work.running.on_success))
    else:
        _through_queue(build, work, function)
    build.add(
        r.LogGroup(name=log_group, retention_days=work.running.log_days),
        _role(build, work, policies.TRUST_LAMBDA, *statements),
        _function(build, work, function, settings),
    )


def _through_queue(build: Build, work: Work, function: str) -> None:
    build.add(
        r.Mapping(
            queue=build.names.part(work.queue),
            function=function,
            batch=work.running.batch,
            window_s=work.running.window_s,
            max_concurrency=work.running.max_concurrency,
        )
    )


def _directly(build: Build, work: Work, function: str, dlq: str) -> None:
    """Let what feeds it invoke the function, and its failures reach `dlq`."""
    build.add(
        r.AsyncInvoke(
            function=function,
            on_failure=dlq,
            on_success=work.running.on_success,
            retries=ASYNC_ATTEMPTS - 1,
        )
    )
    build.add(
        *(
            r.Permission(
                function=function,
                statement_id=f"sns-{topic}",
                principal="sns.amazonaws.com",
                source_arn=build.topic_arn(topic),
            )
            for topic, _, _ in work.feed.topics
        ),
        *(
            r.Permission(
                function=function,
                statement_id=sender.id,
                principal=sender.principal,
                source_arn=sender.arn,
                source_account=sender.account,
            )
            for sender in work.feed.senders
        ),
    )


def _function(build: Build, work: Work, name: str, settings: Settings) -> r.Function:
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
        environment=((SETTINGS_VARIABLE, settings.dumps()),),
        code_hash=build.code_hashes[work.source],
        log_group=build.names.log_group(work.name),
        reserved_concurrency=reserved,
        waits_for=work.waits_for,
    )
