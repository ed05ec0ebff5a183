"""What a pipeline consists of: storage, topics, the branches of pipeline.yaml, the house's own
functions, and S3's notification. How each part is added is in `building`; alarms are in `alarms`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from imgpipe.deploy import policies, steps, triggers
from imgpipe.deploy import resources as r
from imgpipe.deploy.building import (
    ASYNC_ATTEMPTS,
    DLQ_RETENTION_S,
    Build,
    Work,
    add_behind_url,
    add_branch,
    add_queue,
    add_topic,
)
from imgpipe.deploy.names import (
    ALARMS,
    COMPLETED,
    DIRECT,
    DLQ_ENDING,
    NOTICES,
    NOTIFIER,
    OPERATIONS,
    REJECTED,
    RESULTS,
    WRITER,
)
from imgpipe.deploy.triggers import Feed
from imgpipe.runtime import row
from imgpipe.runtime.settings import DECODING_SHARE, Direct, Lane, Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgpipe.deploy import model
    from imgpipe.deploy.policies import Statement
    from imgpipe.deploy.steps import Group, Running
    from imgpipe.deploy.triggers import Scope

NONCURRENT_DAYS = 30
MESSENGER_MEMORY_MB = 512
"""For the writer and the notifier, which read and write short messages."""

NOTICES_AT_ONCE = 1000
DIRECT_TIMEOUT_S = 10
"""Signing takes milliseconds; a cold start, seconds."""
ALL_IMAGES = ("image/*",)
LANE_SHARE = 0.75
"""Of a lane's memory, for the work on one image."""

Address = tuple[Literal["email", "sms", "application"], str]


def wire(build: Build) -> None:
    """Add everything but the alarms."""
    groups = steps.groups(build.spec)
    _storage(build)
    _topics(build, groups)
    add_queue(build, REJECTED, retention_s=DLQ_RETENTION_S)
    for group in groups:
        _step_branch(build, group)
        if group.lane:
            _lane_branch(build, group, group.lane)
    _writer(build)
    if build.notices:
        _notifier(build)
    _people(build)
    if build.spec.uploads.direct:
        _direct(build, build.spec.uploads.direct)
    _notification(build)


def _storage(build: Build) -> None:
    notes = build.names.bucket("ops")
    build.add(
        _uploads_bucket(build),
        r.Bucket(
            name=notes, versioning=False, policy=policies.bucket(build.place.bucket_arn(notes))
        ),
        r.Table(
            name=build.names.part("images"),
            hash_key="pk",
            range_key="sk",
            indexes=(r.Index(name=row.INDEX, hash_key="status_shard", range_key="uploaded_at"),),
            recovery=build.spec.table.recovery,
        ),
    )


def _uploads_bucket(build: Build) -> r.Bucket | r.ExistingBucket:
    name, declared = build.names.bucket("uploads"), build.spec.uploads
    if declared.bucket:
        return r.ExistingBucket(name=name, origins=declared.origins, kms_key=declared.kms_key or "")
    return r.Bucket(
        name=name,
        versioning=True,
        noncurrent_days=NONCURRENT_DAYS,
        policy=policies.bucket(build.place.bucket_arn(name)),
        origins=declared.origins,
    )


def _topics(build: Build, groups: Sequence[Group]) -> None:
    uploads = build.bucket_arn("uploads")
    by_topic = build.spec.uploads.deliver == "topic"
    for on in triggers.occasions(groups) if by_topic else ():
        short = triggers.OCCASIONS[on].topic
        add_topic(build, short, policies.s3_publishes(build.topic_arn(short), uploads, build.place))
    add_topic(build, COMPLETED)
    if build.notices:
        add_topic(build, NOTICES)
    alarm_arns = build.place.alarm_arn(build.names.part("*"))
    add_topic(
        build, ALARMS, policies.alarms_publish(build.topic_arn(ALARMS), alarm_arns, build.place)
    )


def _step_branch(build: Build, group: Group) -> None:
    """Add a branch of pipeline.yaml."""
    settings, statements = _step_settings(build, group), _step_statements(build, group)
    if group.lane:
        url = _url(build, group.large)
        over = Lane(queue_url=url, max_bytes=group.lane.max_bytes, max_pixels=group.lane.max_pixels)
        settings = replace(settings, lane=over)
        statements = (*statements, policies.send("Lane", [build.queue_arn(group.large)]))
    add_branch(
        build,
        Work(
            name=group.name,
            source=group.source,
            settings=settings,
            statements=statements,
            running=group.running,
            via=group.via,
            queue=group.name,
            feed=triggers.feed(build.spec, build.names, triggers.wanted(group)),
            steps=tuple(group.steps),
        ),
    )


def _lane_branch(build: Build, group: Group, lane: model.Lane) -> None:
    """Add the same work once more, with more room and a queue that only the step's own function fills."""
    running = replace(group.running, memory_mb=lane.memory, on_success="")
    settings = _step_settings(build, group)
    room = int(lane.memory * 1_048_576 * LANE_SHARE)
    limits = replace(
        settings.limits,
        memory_bytes=max(settings.limits.memory_bytes, room),
        max_decoded_bytes=max(settings.limits.max_decoded_bytes, int(room * DECODING_SHARE)),
    )
    add_branch(
        build,
        Work(
            name=group.large,
            source=group.source,
            settings=replace(
                settings, function=group.large, limits=limits, max_receives=running.receives
            ),
            statements=_step_statements(build, group),
            running=running,
            via="worker" if lane.to == "worker" else "queue",
            queue=group.large,
            steps=tuple(group.steps),
        ),
    )


def _step_statements(build: Build, group: Group) -> tuple[Statement, ...]:
    return _tidy_statements(build) if group.on == "removed" else _image_statements(build, group)


def _step_settings(build: Build, group: Group) -> Settings:
    created = group.on != "removed"
    return replace(
        _settings(build, group.name),
        settings_hash=steps.group_hash(group) if created else "",
        steps={name: steps.with_hash(step) for name, step in group.steps.items()}
        if created
        else {},
        on=group.on if created else "",
        matches=steps.matches(build.spec, group.steps) if created else {},
        table="" if created else build.names.part("images"),
        results_queue_url=_url(build, RESULTS),
        rejected_queue_url=_url(build, REJECTED) if created else "",
        limits=steps.limits(build.spec, group.running.timeout_s),
        max_receives=ASYNC_ATTEMPTS if group.via == "function" else group.running.receives,
    )


def _image_statements(build: Build, group: Group) -> tuple[Statement, ...]:
    folders = {variant: None for step in group.steps.values() for variant in steps.variants(step)}
    folders |= {name: None for name, step in group.steps.items() if step.lambda_.source}
    bucket, below = build.bucket_arn("variants"), build.spec.uploads.outputs
    written = [policies.write_variants(bucket, below, list(folders))] if folders else []
    asked = any(step.tags == "rekognition" for step in group.steps.values())
    return (
        *policies.read_uploads(build.bucket_arn("uploads"), group.prefix),
        *written,
        *([policies.name_labels()] if asked else []),
        policies.send("Report", [build.queue_arn(RESULTS), build.queue_arn(REJECTED)]),
    )


def _tidy_statements(build: Build) -> tuple[Statement, ...]:
    return (
        *policies.read_uploads(build.bucket_arn("uploads"), build.spec.uploads.prefix),
        *policies.delete_variants(
            build.bucket_arn("variants"), build.spec.uploads.outputs, OPERATIONS
        ),
        policies.rows(build.place.table_arn(build.names.part("images")), "GetItem"),
        policies.send("Report", [build.queue_arn(RESULTS)]),
    )


def _writer(build: Build) -> None:
    running = _messenger(build)
    tidy = build.tidy
    settings = replace(
        _settings(build, WRITER),
        table=build.names.part("images"),
        expected=tuple(build.spec.created),
        matches=steps.matches(build.spec, build.spec.created),
        settings_hash=steps.settings_hash(build.spec),
        completed_topic_arn=build.topic_arn(COMPLETED),
        tidy_queue_url=_url(build, tidy.name) if tidy else "",
        max_receives=running.retries,
    )
    to_tidy = [policies.send("Tidy", [build.queue_arn(tidy.name)])] if tidy else []
    add_branch(
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
            waits_for=tuple(
                made.key
                for made in build.resources
                if isinstance(made, r.Subscription | r.EventRule)
            ),
        ),
    )


def _notifier(build: Build) -> None:
    notify, running = build.spec.notify, _told_together(build)
    settings = replace(
        _settings(build, NOTIFIER),
        table=build.names.part("images"),
        notices_topic_arn=build.topic_arn(NOTICES),
        notices=tuple(kind for kind, notice in notify.kinds if notice.addresses),
        uploaders=tuple(address.lower() for address in notify.uploaders),
        digest=notify.digest,
        link_s=notify.link,
        max_receives=running.retries,
    )
    pictures, below = build.bucket_arn("variants"), build.spec.uploads.outputs
    shows = notify.link and "completed" in build.notices  # only what is ready has a picture
    links = policies.read_pictures(pictures, below, OPERATIONS) if shows else []
    metadata = (
        policies.read_uploads(build.bucket_arn("uploads"), build.spec.uploads.prefix)
        if notify.uploaders
        else []
    )
    add_branch(
        build,
        Work(
            name=NOTIFIER,
            source=steps.NOTIFIER,
            settings=settings,
            statements=(
                policies.rows(build.place.table_arn(build.names.part("images")), "PutItem"),
                policies.publish(build.topic_arn(NOTICES)),
                *links,
                *metadata,
            ),
            running=running,
            via="queue",
            queue=NOTIFIER,
            feed=_heard_by_notifier(build),
        ),
    )


def _direct(build: Build, declared: model.Direct) -> None:
    """Add the function that hands out leave to upload one file, behind a URL."""
    uploads = build.spec.uploads
    most = min(declared.bytes or uploads.limits.bytes, uploads.limits.bytes)
    settings = replace(
        _settings(build, DIRECT),
        variants_bucket="",
        variants_prefix="",
        direct=Direct(
            max_bytes=most,
            types=declared.types or ALL_IMAGES,
            endings=tuple(filter(None, triggers.spellings(uploads.suffixes))),
            life_s=declared.expires,
        ),
    )
    work = Work(
        name=DIRECT,
        source=steps.DIRECT,
        settings=settings,
        statements=(policies.write_uploads(build.bucket_arn("uploads"), uploads.prefix),),
        running=replace(_messenger(build), timeout_s=DIRECT_TIMEOUT_S),
        via="function",
        queue=DIRECT,
    )
    # A bucket's rule takes a pattern such as http://localhost:*, a function's URL whole origins only.
    whole = [origin for origin in uploads.origins if "*" not in origin]
    add_behind_url(build, work, "NONE" if declared.auth == "none" else "AWS_IAM", whole)


def _heard_by_notifier(build: Build) -> Feed:
    """Return what the notifier needs to hear: of each kind what somebody asked for."""
    topics: list[tuple[str, str, Scope]] = []
    statuses = [
        *(["done"] if "completed" in build.notices else []),
        *(["failed", "rejected"] if "failed" in build.notices else []),
    ]
    if statuses:
        policy = "" if len(statuses) == 3 else r.canonical({"status": statuses})
        topics.append((COMPLETED, policy, "attributes"))
    if "uploaded" not in build.notices:
        return Feed(topics=tuple(topics))
    every = triggers.every_upload(build.spec, NOTIFIER)
    uploads = triggers.feed(build.spec, build.names, every)
    return replace(uploads, topics=(*uploads.topics, *topics))


def _told_together(build: Build) -> Running:
    """Let notices gather for the window, so that a burst becomes a few messages."""
    messenger, window_s = _messenger(build), build.spec.notify.window
    return replace(
        messenger,
        window_s=window_s,
        batch=NOTICES_AT_ONCE if window_s else 10,
        visibility_s=max(messenger.visibility_s, 6 * messenger.timeout_s + window_s),
    )


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


def _people(build: Build) -> None:
    """Subscribe people: each address once, for the kinds that it asked for; `failed` also to the
    alarms.
    """
    notify = build.spec.notify
    kinds: dict[Address, list[str]] = {}
    for kind, notice in notify.kinds:
        for address in notice.addresses:
            kinds.setdefault(address, []).append(kind)
    uploaders = [address for address in notify.uploaders if ("email", address) not in kinds]
    if not kinds and not uploaders:
        return
    dlq = add_queue(build, NOTICES + DLQ_ENDING, topics=[NOTICES, ALARMS])
    for address, asked in kinds.items():
        wanted = "" if len(asked) == len(build.notices) else r.canonical({"kind": asked})
        build.add(_person(build, NOTICES, address, dlq, wanted))
    for uploader in uploaders:
        own = r.canonical({"uploader": [uploader.lower()]})
        build.add(_person(build, NOTICES, ("email", uploader), dlq, own))
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
    listeners = [
        made.key
        for made in build.resources
        if isinstance(made, r.Subscription | r.Permission | r.Mapping | r.EventRule)
    ]
    build.add(
        r.Notification(
            bucket=build.names.bucket("uploads"),
            id_prefix=build.names.rule_prefix,
            rules=triggers.rules(build.spec, build.names, steps.groups(build.spec), build.topics),
            eventbridge=build.spec.uploads.deliver == "eventbridge",
            waits_for=tuple(listeners),
        )
    )


def _settings(build: Build, function: str) -> Settings:
    """Return what every function is told."""
    return Settings(
        pipeline=build.spec.name,
        environment=build.names.environment,
        function=function,
        uploads_bucket=build.names.bucket("uploads"),
        variants_bucket=build.names.bucket("variants"),
        variants_prefix=build.spec.uploads.outputs,
        prefix=build.spec.uploads.prefix,
    )


def _url(build: Build, short: str) -> str:
    return build.place.queue_url(build.names.part(short))
