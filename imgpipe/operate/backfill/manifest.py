"""A run under `ops/backfill/<run>/`: `part-00000.jsonl` and so on, an item a line, and `run.json`, how far it is.

The parts are written once and never changed. `run.json` is written when they are all there (so that nothing is sent
from half a list), and before each batch. Only one process can send a run: each writing names the one before it (S3's
If-Match), so a second process is refused.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from imgpipe.cloud import error_code, explain
from imgpipe.deploy.names import OPERATIONS
from imgpipe.errors import ImgpipeError, MissingError
from imgpipe.operate import ops
from imgpipe.operate.backfill.work import Item, Task
from imgpipe.operate.times import iso

if TYPE_CHECKING:
    from imgpipe.operate.project import Project

FOLDER = "backfill"
PART_ITEMS = 1000
_STAMP = "%Y%m%dT%H%M%SZ"
_TAKEN = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict", "409"})
_GONE = frozenset({"NoSuchKey", "404"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run: what it is about and its frozen extent; then how far it is.

    `sent` items are known to be sent. The `sending` ones behind them were charged and may have been sent. `charged` is
    what all that was sent, repeats too, is taken to cost, in nanodollars: never more than `budget`.
    """

    id: str
    task: Task
    prefix: str
    started: str
    images: int
    nanodollars: int
    hashes: dict[str, str]  # of the settings of each step that has work
    code: dict[str, str]
    rate: float
    budget: int | None = None  # nanodollars
    sent: int = 0
    sending: int = 0
    passed_over: int = 0  # of those sent: found to be done when an interrupted batch was sent again
    charged: int = 0
    ended: str = ""
    etag: str = field(default="", compare=False)  # of run.json as it was read or written last

    @property
    def left(self) -> int:
        return self.images - self.sent

    def dumps(self) -> bytes:
        fields = asdict(self)
        del fields["etag"]
        return json.dumps(fields, indent=2).encode()

    @classmethod
    def loads(cls, body: bytes, etag: str) -> Run:
        fields: dict[str, Any] = json.loads(body)
        return cls(**{**fields, "task": Task(**fields["task"]), "etag": etag})


def new_id(now: datetime) -> str:
    return f"{now.astimezone(UTC).strftime(_STAMP)}-{secrets.token_hex(2)}"


def began(run_id: str) -> datetime | None:
    """Return when a run of this name began; None if no run can be called so."""
    try:
        return datetime.strptime(run_id.partition("-")[0], _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def write_parts(project: Project, run_id: str, items: Iterable[Item]) -> None:
    """Write the items down, part by part, holding one part in memory. Raises CloudError."""
    s3, bucket = project.cloud.client("s3"), project.graph.ops_bucket
    waiting, number = iter(items), 0
    while some := list(islice(waiting, PART_ITEMS)):
        body = "".join(f"{item.dumps()}\n" for item in some)
        key = _key(run_id, _part(number))
        try:
            s3.put_object(Bucket=bucket, Key=key, Body=body.encode(), ContentType="text/plain")
        except s3.exceptions.ClientError as error:
            raise explain(error, f"manifest {key}") from error
        number += 1


def items(project: Project, run: Run, start: int = 0) -> Iterator[Item]:
    """Yield the items from number `start` on, a part at a time. Raises MissingError when a part is gone."""
    number, skip = divmod(start, PART_ITEMS)
    for part in range(number, -(-run.images // PART_ITEMS)):
        lines = _read(project, _key(run.id, _part(part)))[0].decode().splitlines()
        yield from map(Item.loads, lines[skip:])
        skip = 0


def load(project: Project, run_id: str) -> Run:
    """Return a run. Raises MissingError."""
    if began(run_id) is None:
        raise MissingError(f"run {run_id}", "no run is called so", hint="imgpipe backfill --runs")
    return Run.loads(*_read(project, _key(run_id, "run.json")))


def save(project: Project, run: Run) -> Run:
    """Note how far the run is; a new one is made. Raises ImgpipeError if another process has sent from it."""
    s3, key = project.cloud.client("s3"), _key(run.id, "run.json")
    condition = {"IfMatch": run.etag} if run.etag else {"IfNoneMatch": "*"}
    try:
        answer = s3.put_object(
            Bucket=project.graph.ops_bucket,
            Key=key,
            Body=run.dumps(),
            ContentType="application/json",
            **condition,
        )
    except s3.exceptions.ClientError as error:
        if error_code(error) not in _TAKEN:
            raise explain(error, f"note {key}") from error
        return _own(project, run)
    return replace(run, etag=answer["ETag"])


def _own(project: Project, run: Run) -> Run:
    """Return the run as noted if it was we who noted it, and only the answer was lost."""
    body, etag = _read(project, _key(run.id, "run.json"))
    if body != run.dumps():
        raise ImgpipeError(
            f"run {run.id}", "another process is sending it", hint="imgpipe backfill --runs"
        )
    return replace(run, etag=etag)


def ids(project: Project) -> list[str]:
    """Return the names of all runs that are frozen, the oldest first."""
    found = (name.split("/") for name in ops.names(project, f"{FOLDER}/"))
    return [parts[1] for parts in found if parts[-1] == "run.json" and began(parts[1])]


def remove(project: Project, run: Run) -> None:
    """Forget a run that nothing was sent from: run.json first, without which its parts are no run."""
    ops.remove(project, f"{FOLDER}/{run.id}/run.json")
    for name in list(ops.names(project, f"{FOLDER}/{run.id}/")):
        ops.remove(project, name)


def stamped(run: Run) -> Run:
    return replace(run, ended=iso(datetime.now(UTC)))


def _key(run_id: str, name: str) -> str:
    return f"{OPERATIONS}/{FOLDER}/{run_id}/{name}"


def _part(number: int) -> str:
    return f"part-{number:05}.jsonl"


def _read(project: Project, key: str) -> tuple[bytes, str]:
    s3 = project.cloud.client("s3")
    try:
        answer = s3.get_object(Bucket=project.graph.ops_bucket, Key=key)
        return answer["Body"].read(), answer["ETag"]
    except s3.exceptions.ClientError as error:
        if error_code(error) in _GONE:
            name = key.split("/")[2]
            raise MissingError(
                f"run {name}", "its note is not there", hint="imgpipe backfill --runs"
            ) from error
        raise explain(error, f"note {key}") from error
