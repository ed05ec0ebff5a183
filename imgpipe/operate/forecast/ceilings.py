"""AWS's limits as a rate of uploads: how many images a second each lets through, and which one is hit first.

These are the limits that a new account begins with, for a rate that lasts; most can be raised by asking AWS. The
figures marked `*` in `source` come from AWS's published quotas and could not be checked against an account.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgpipe.operate.forecast import work
from imgpipe.runtime import row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from imgpipe.operate.forecast.figures import Timings
    from imgpipe.operate.forecast.topology import Topology
    from imgpipe.operate.forecast.work import Image, Load

S3_WRITES_PER_PREFIX, S3_READS_PER_PREFIX = 3_500, 5_500
LAMBDA_CONCURRENCY = 1_000
MAPPING_CONCURRENCY = 1_250
SQS_IN_FLIGHT = 120_000
SNS_PUBLISHES = 30_000
EMAILS_PER_SUBSCRIPTION = 10
TABLE_WRITES, PARTITION_WRITES = 4_000, 1_000


@dataclass(frozen=True, slots=True)
class Ceiling:
    """`images_per_s` is the rate of uploads at which `limit` is reached."""

    limit: str
    images_per_s: float
    advice: str
    source: str


def of(topology: Topology, image: Image, timings: Timings) -> list[Ceiling]:
    """Return the limits that a rate of uploads can hit, the first to be hit first."""
    asked = work.loads(topology, image, timings)
    found = [
        *_people(topology),
        *_s3(topology, image),
        *_lambda(asked),
        *_sqs(asked),
        *_sns(topology, asked),
        *_dynamodb(topology, asked),
    ]
    return sorted(found, key=lambda ceiling: ceiling.images_per_s)


def hit(ceilings: Sequence[Ceiling], images_per_s: float) -> list[Ceiling]:
    """Return those of `ceilings` that a rate goes over, the first to be hit first."""
    return [ceiling for ceiling in ceilings if ceiling.images_per_s < images_per_s]


def _people(topology: Topology) -> Iterator[Ceiling]:
    kinds = {
        kind for (protocol, kind) in topology.people if protocol == "email" and kind != "failed"
    }
    if kinds:
        yield Ceiling(
            f"SNS: e-mail, {EMAILS_PER_SUBSCRIPTION} a second and address",
            EMAILS_PER_SUBSCRIPTION / len(kinds),
            "take `uploaded` out of notify, or let people read digests",
            "SNS quotas*",
        )


def _s3(topology: Topology, image: Image) -> Iterator[Ceiling]:
    yield Ceiling(
        f"S3: {S3_WRITES_PER_PREFIX:,} writes a second and prefix (uploads)",
        S3_WRITES_PER_PREFIX / work.upload_requests(image),
        "spread uploads over folders; S3 splits a busy prefix by itself, over some minutes",
        "S3 performance guidelines*",
    )
    if topology.images:
        yield Ceiling(
            f"S3: {S3_READS_PER_PREFIX:,} reads a second and prefix (uploads)",
            S3_READS_PER_PREFIX / len(topology.images),
            "let steps share a function (`group`): one read serves them all",
            "S3 performance guidelines*",
        )


def _lambda(asked: Sequence[Load]) -> Iterator[Ceiling]:
    for load in asked:
        busy_s = load.messages * load.ms / 1000
        own = load.worker.reserved_concurrency
        mapped = load.worker.max_concurrency or MAPPING_CONCURRENCY
        if own:
            yield _concurrency(f"`{load.worker.name}`: reserved concurrency {own:,}", own, busy_s)
        if load.worker.queue:
            words = f"`{load.worker.name}`: {mapped:,} at once from one queue"
            yield _concurrency(words, mapped, busy_s)
    shared = sum(
        load.messages * load.ms / 1000 for load in asked if not load.worker.reserved_concurrency
    )
    yield _concurrency(
        f"Lambda: {LAMBDA_CONCURRENCY:,} at once in the account", LAMBDA_CONCURRENCY, shared
    )


def _concurrency(limit: str, slots: int, busy_s: float) -> Ceiling:
    advice = "ask AWS for more concurrency; until then queues hold what comes faster"
    return Ceiling(limit, slots / busy_s if busy_s else float("inf"), advice, "Lambda quotas")


def _sqs(asked: Sequence[Load]) -> Iterator[Ceiling]:
    for load in asked:
        if load.worker.queue:
            held_s = load.messages * load.ms * load.worker.batch / 1000
            yield Ceiling(
                f"`{load.worker.name}`: {SQS_IN_FLIGHT:,} messages in flight",
                SQS_IN_FLIGHT / held_s,
                "a smaller `batch`",
                "SQS quotas",
            )


def _sns(topology: Topology, asked: Sequence[Load]) -> Iterator[Ceiling]:
    publishes = sum(load.publishes * load.messages for load in asked) + bool(topology.through_topic)
    if publishes:
        yield Ceiling(
            f"SNS: {SNS_PUBLISHES:,} messages a second (us-east-1; fewer elsewhere)",
            SNS_PUBLISHES / publishes,
            "ask AWS for more, or `deliver: queue`",
            "SNS quotas*",
        )


def _dynamodb(topology: Topology, asked: Sequence[Load]) -> Iterator[Ceiling]:
    units = -(-work.row_bytes(topology) // 1000)
    writes = sum(
        load.messages * load.table_writes for load in asked if load.worker.role == "writer"
    )
    claims = sum(
        load.messages * load.table_writes for load in asked if load.worker.role == "notifier"
    )
    if writes:
        yield Ceiling(
            f"DynamoDB: {TABLE_WRITES:,} write units a second, a new table",
            TABLE_WRITES / (writes * units + claims),
            "results wait in their queue meanwhile; the table doubles by itself",
            "DynamoDB, recorded",
        )
        yield Ceiling(
            f"DynamoDB: {PARTITION_WRITES:,} write units a second and partition (the status index)",
            PARTITION_WRITES * row.SHARDS / (writes * units),
            "results wait in their queue meanwhile",
            "DynamoDB, recorded",
        )
