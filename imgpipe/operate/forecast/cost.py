"""What a pipeline costs: for a million images, for a month, part by part, and what would change it most.

List prices of one Region, before any free allowance, without taxes, support, or traffic out of AWS. Only what a good
image asks for is counted: no retries, no dead letters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgpipe.operate.forecast import work
from imgpipe.operate.forecast.figures import prices as shipped_prices
from imgpipe.operate.forecast.figures import timings as shipped_timings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from imgpipe.operate.forecast.figures import Prices, Timings
    from imgpipe.operate.forecast.topology import Topology
    from imgpipe.operate.forecast.work import Image, Load

GB = 1e9
MESSAGE_CHUNK = 65_536
POLLS_A_MONTH = 5 * 30 * 86_400 / 20
"""Lambda keeps five long polls of 20 s on each queue that it reads, also when nothing comes."""


@dataclass(frozen=True, slots=True)
class Part:
    """A line of the bill. `count` is in `unit`, for one image or, for what is `monthly`, for a month."""

    name: str
    count: float
    unit: str
    price: float  # US dollars for one unit
    monthly: bool = False

    @property
    def dollars(self) -> float:
        return self.count * self.price


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The bill of a pipeline. `per_image` and `fixed` are its parts, the dearest first."""

    per_image: tuple[Part, ...]
    fixed: tuple[Part, ...]
    stored_bytes: float  # an image leaves behind, in S3 and the table
    storage: tuple[Part, ...]  # a month, of one image

    @property
    def per_million(self) -> float:
        return 1e6 * sum(part.dollars for part in self.per_image)

    @property
    def fixed_month(self) -> float:
        return sum(part.dollars for part in self.fixed)

    @property
    def storage_month_per_million(self) -> float:
        return 1e6 * sum(part.dollars for part in self.storage)

    def month(self, images: int) -> float:
        """Return the bill of a month with `images` uploads, which are stored for that month."""
        millions = images / 1e6
        return self.fixed_month + millions * (self.per_million + self.storage_month_per_million)


def of(
    topology: Topology,
    image: Image,
    *,
    fill: float = 1.0,
    prices: Prices | None = None,
    timings: Timings | None = None,
) -> Cost:
    """Return the cost of `topology` for uploads like `image`.

    `fill` is how many messages an invocation takes on average: 1 when uploads trickle in, up to the batch size in bulk.
    """
    price, timing = prices or shipped_prices(), timings or shipped_timings()
    asked = work.loads(topology, image, timing)
    per_image = [*_requests(topology, image, asked, fill, price), *_compute(asked, fill, price)]
    return Cost(
        per_image=_dearest(per_image),
        fixed=_dearest(_fixed(topology, price)),
        stored_bytes=image.bytes + sum(_variant_bytes(topology, image, timing)),
        storage=_dearest(_storage(topology, image, price, timing)),
    )


def _dearest(parts: Sequence[Part] | Iterator[Part]) -> tuple[Part, ...]:
    kept = [part for part in parts if part.count]
    return tuple(sorted(kept, key=lambda part: -part.dollars))


def _requests(
    topology: Topology, image: Image, asked: Sequence[Load], fill: float, price: Prices
) -> Iterator[Part]:
    gets, puts = (
        sum(getattr(load, name) * load.messages for load in asked) for name in ("gets", "puts")
    )
    yield Part("S3: storing the upload", work.upload_requests(image), "requests", price.s3_put)
    yield Part("S3: storing variants", puts, "requests", price.s3_put)
    yield Part("S3: reading the upload", gets, "requests", price.s3_get)
    publishes = sum(load.publishes * load.messages for load in asked)
    events = 1.0 if topology.through_topic else 0.0
    yield Part("SNS: events and notices", events + publishes, "messages", price.sns_publish)
    yield from _people(topology, price)
    yield Part("SQS: messages", _sqs_requests(asked, fill), "requests", price.sqs_request)
    rows = work.row_bytes(topology)
    writes, reads = (
        sum(getattr(load, name) * load.messages for load in asked)
        for name in ("table_writes", "table_reads")
    )
    claims = sum(
        load.table_writes * load.messages for load in asked if load.worker.role == "notifier"
    )
    written = (writes - claims) * _units(rows, 1000) * (1 + topology.indexes) + claims
    yield Part("DynamoDB: writing", written, "write units", price.dynamodb_write)
    yield Part("DynamoDB: reading", reads * _units(rows, 4000), "read units", price.dynamodb_read)
    logged = sum(
        load.messages
        * (load.log_lines * work.LOG_BYTES_PER_LINE + work.LOG_BYTES_PER_INVOCATION / fill)
        for load in asked
    )
    yield Part("CloudWatch Logs: taken in", logged / GB, "GB", price.logs_gb)


def _people(topology: Topology, price: Prices) -> Iterator[Part]:
    each = {"email": price.sns_email, "sms": price.sns_sms, "application": price.sns_push}
    words = {"email": "e-mails", "sms": "texts", "application": "pushes"}
    for protocol, dollars in each.items():
        heard = sum(
            count
            for (how, kind), count in topology.people.items()
            if how == protocol and kind != "failed"
        )
        yield Part(f"SNS: {words[protocol]}", heard, words[protocol], dollars)


def _sqs_requests(asked: Sequence[Load], fill: float) -> float:
    """Count sends, and for each message its share of a receive and a delete.

    What SNS puts into a queue is counted as sent by us: AWS's pages disagree, so the dearer reading.
    """
    total = 0.0
    for load in asked:
        total += load.sends * load.messages
        if load.worker.queue:
            sent = load.messages if load.worker.role == "images" else 0.0
            total += sent + 2 * load.messages / min(fill, load.worker.batch)
    return total


def _compute(asked: Sequence[Load], fill: float, price: Prices) -> Iterator[Part]:
    invocations = 0.0
    for load in asked:
        worker = load.worker
        invocations += load.messages / (min(fill, worker.batch) if worker.queue else 1)
        gb_s = load.messages * load.ms / 1000 * worker.memory_mb / 1024
        rate = (
            price.lambda_gb_s_arm64 if worker.architecture == "arm64" else price.lambda_gb_s_x86_64
        )
        yield Part(f"Lambda: {worker.name}", gb_s, "GB-seconds", rate)
    yield Part("Lambda: invocations", invocations, "requests", price.lambda_request)


def _fixed(topology: Topology, price: Prices) -> Iterator[Part]:
    yield Part("CloudWatch: alarms", topology.alarms, "alarms", price.alarm_month, monthly=True)
    polls = topology.queues_polled * POLLS_A_MONTH
    yield Part("SQS: polling the queues", polls, "requests", price.sqs_request, monthly=True)
    yield Part(
        "CloudWatch: dashboard",
        topology.dashboards,
        "dashboards",
        price.dashboard_month,
        monthly=True,
    )


def _storage(topology: Topology, image: Image, price: Prices, timings: Timings) -> Iterator[Part]:
    variants = sum(_variant_bytes(topology, image, timings))
    row = work.row_bytes(topology) * (1 + topology.indexes)
    yield Part("S3: uploads", image.bytes / GB, "GB", price.s3_gb_month, monthly=True)
    yield Part("S3: variants", variants / GB, "GB", price.s3_gb_month, monthly=True)
    yield Part("DynamoDB: rows", row / GB, "GB", price.dynamodb_gb_month, monthly=True)
    if topology.recovery:
        yield Part(
            "DynamoDB: recovery", row / GB, "GB", price.dynamodb_recovery_gb_month, monthly=True
        )


def _variant_bytes(topology: Topology, image: Image, timings: Timings) -> Iterator[float]:
    for worker in topology.images:
        for variant in worker.variants:
            yield work.variant_bytes(variant, image, timings)


def _units(size: float, unit: int) -> int:
    return -(-int(size) // unit)
