"""The table, read: rows by key, and rows by status and date, page by page."""

from __future__ import annotations

import heapq
import time
from collections.abc import Mapping
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from imgpipe.cloud import explain
from imgpipe.errors import ThrottledError
from imgpipe.operate import parallel
from imgpipe.operate.times import from_iso, in_order, iso
from imgpipe.runtime.items import decode
from imgpipe.runtime.row import INDEX, SHARDS, SK_IMAGE, from_item

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from datetime import datetime

    from imgpipe.operate.project import Project

STATUSES = ("done", "rejected", "failed", "in_flight", "removed")
FIRST = 25
"""Rows that are read of each shard and status at first, so that a list begins before all of a megabyte is read."""
_BATCH = 100
"""BatchGetItem's limit."""
_ROUNDS = 8
"""A throttled table answers for some keys only; asking for the rest 8 times takes up to 6 seconds."""

Row = dict[str, Any]
Item = Mapping[str, Any]
"""As DynamoDB gives it, with the types of its attributes."""


def life(row: Mapping[str, Any]) -> tuple[datetime, datetime] | None:
    """Return when an image was uploaded and when its row last changed, or None where the clocks contradict that."""
    began, ended = from_iso(row["uploaded_at"]), from_iso(row["updated_at"])
    return (began, ended) if began and ended and began <= ended else None


def by_keys(project: Project, keys: Collection[str], *, consistent: bool = False) -> dict[str, Row]:
    """Return the rows of `keys`; a key without a row is left out. Keys that are no image have none."""
    found = map(from_item, items_by_keys(project, keys, consistent=consistent))
    return {row["key"]: row for row in found}


def items_by_keys(
    project: Project, keys: Collection[str], *, consistent: bool = True
) -> Iterator[Item]:
    """Yield the rows of `keys` as they are stored."""
    return items_at(project, [(key, SK_IMAGE) for key in sorted(keys)], consistent=consistent)


def every_item(project: Project) -> Iterator[Item]:
    """Yield every row as it is stored, in any order, read consistently: a page of 1 MB is held."""
    pages = project.cloud.client("dynamodb").get_paginator("scan")
    for page in pages.paginate(
        TableName=project.graph.table,
        ConsistentRead=True,
        FilterExpression="sk = :image",
        ExpressionAttributeValues={":image": {"S": SK_IMAGE}},
    ):
        yield from page["Items"]


def items_at(
    project: Project, wanted: Sequence[tuple[str, str]], *, consistent: bool = False
) -> Iterator[Item]:
    """Yield the items at these partition and sort keys, in any order; what isn't there is left out."""
    slices = [wanted[start : start + _BATCH] for start in range(0, len(wanted), _BATCH)]
    if slices:
        read = partial(_batch, project.cloud.client("dynamodb"), project.graph.table, consistent)
        for some in parallel.stream(read, slices, 4):
            yield from some


def by_status(
    project: Project,
    statuses: Sequence[str],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    prefix: str = "",
    limit: int | None = None,
    page_size: int | None = None,
    where: Callable[[Row], bool] = bool,
    oldest_first: bool = False,
) -> Iterator[Row]:
    """Yield rows, the latest upload first unless `oldest_first`, in whichever of `statuses` they are.

    `prefix` and `where` choose among what was read: no index holds keys or facts, so they save
    nothing; statuses and dates do. `page_size` is for a reader who wants a few at once: so many
    rows a shard and status are read at a time, and not 1 MB from the second time on.

    Streams: a page a shard and status is held. A row that changes its status meanwhile may come
    twice or not at all. Raises UsageError for a `since` that is after `until`.
    """
    in_order(since, until)
    dynamodb, table = project.cloud.client("dynamodb"), project.graph.table
    size = {"Limit": page_size} if page_size else {}
    order = {"ScanIndexForward": True} if oldest_first else {}
    queries = [
        {**_query(table, shard, since, until), **size, **order} for shard in _shards(statuses)
    ]
    few = {"Limit": page_size or FIRST}
    firsts = parallel.together(*(partial(_page, dynamodb, {**it, **few}) for it in queries))
    streams = [
        map(from_item, _items(dynamodb, query, first))
        for query, first in zip(queries, firsts, strict=True)
        if first.get("Items")
    ]
    found = _in_order(streams, oldest_first=oldest_first)
    chosen = (row for row in found if row["key"].startswith(prefix) and where(row))
    return islice(chosen, limit)


def began(project: Project) -> datetime:
    """Return when the table was made: of what was uploaded before, the pipeline wasn't told."""
    dynamodb, table = project.cloud.client("dynamodb"), project.graph.table
    try:
        made: datetime = dynamodb.describe_table(TableName=table)["Table"]["CreationDateTime"]
    except dynamodb.exceptions.ClientError as error:
        raise explain(error, f"table {table}") from error
    return made


def facts_by_status(
    project: Project,
    statuses: Sequence[str],
    *,
    limit: int,
    steps: Collection[str],
    facts: Collection[str],
) -> Iterator[Row]:
    """Yield rows as `by_status` does, with key, status and moments, and of `facts` what these steps told: a tenth of
    the work for who reads many.
    """
    dynamodb, table = project.cloud.client("dynamodb"), project.graph.table
    only = _projection(steps, facts)
    queries = [{**_query(table, shard, None, None), **only} for shard in _shards(statuses)]
    streams = [map(_told, _items(dynamodb, query)) for query in queries]
    return islice(_in_order(streams), limit)


def _shards(statuses: Sequence[str]) -> list[str]:
    return [f"{status}#{shard}" for status in statuses for shard in range(SHARDS)]


def _in_order(streams: Iterable[Iterator[Row]], *, oldest_first: bool = False) -> Iterator[Row]:
    return heapq.merge(*streams, key=lambda row: str(row["uploaded_at"]), reverse=not oldest_first)


def count(
    project: Project, status: str, max_pages: int, *, until: datetime | None = None
) -> tuple[int, bool]:
    """Return how many rows have `status`, of those uploaded `until` then, and whether that is all: counting stops
    after `max_pages` a shard.
    """
    dynamodb, table = project.cloud.client("dynamodb"), project.graph.table
    calls = [
        partial(_count, dynamodb, table, f"{status}#{shard}", max_pages, until)
        for shard in range(SHARDS)
    ]
    counted = [call() for call in calls]
    return sum(number for number, _ in counted), all(complete for _, complete in counted)


def ends(project: Project, status: str, each: int) -> tuple[list[Row], bool]:
    """Return the `each` latest uploads of every shard that have `status`, and the `each` oldest; and whether these
    are all there are.
    """
    dynamodb, table = project.cloud.client("dynamodb"), project.graph.table

    def read(shard: str) -> tuple[list[Row], bool]:
        latest = {**_query(table, shard, None, None), "Limit": each}
        pages = [_page(dynamodb, latest)]
        complete = "LastEvaluatedKey" not in pages[0]
        if not complete:
            pages.append(_page(dynamodb, {**latest, "ScanIndexForward": True}))
        return [from_item(item) for page in pages for item in page.get("Items", [])], complete

    shards = [partial(read, f"{status}#{shard}") for shard in range(SHARDS)]
    found = parallel.together(*shards)
    known = {row["key"]: row for some, _ in found for row in some}
    return list(known.values()), all(complete for _, complete in found)


def _batch(
    dynamodb: Any, table: str, consistent: bool, wanted: Sequence[tuple[str, str]]
) -> list[Item]:
    request: Mapping[str, Any] = {
        table: {
            "Keys": [{"pk": {"S": key}, "sk": {"S": sort_key}} for key, sort_key in wanted],
            "ConsistentRead": consistent,
        }
    }
    items: list[Item] = []
    for attempt in range(_ROUNDS):
        answer = dynamodb.batch_get_item(RequestItems=request)
        items += answer["Responses"].get(table, [])
        request = answer.get("UnprocessedKeys") or {}
        if not request:
            return items
        if not answer["Responses"].get(table):
            time.sleep(0.05 * 2**attempt)
    raise ThrottledError(
        f"table {table}", "it left keys unread time and again", hint="wait a minute and run again"
    )


def _query(
    table: str, shard: str, since: datetime | None, until: datetime | None
) -> dict[str, Any]:
    values = {":shard": {"S": shard}}
    condition = "status_shard = :shard"
    if since or until:
        values[":since"] = {"S": iso(since) if since else "0"}
        values[":until"] = {"S": iso(until) if until else "9"}
        condition += " AND uploaded_at BETWEEN :since AND :until"
    return {
        "TableName": table,
        "IndexName": INDEX,
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": values,
        "ScanIndexForward": False,
    }


def _page(dynamodb: Any, query: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        answer: Mapping[str, Any] = dynamodb.query(**query)
    except dynamodb.exceptions.ClientError as error:
        raise explain(error, f"table {query['TableName']}") from error
    return answer


def _projection(steps: Collection[str], facts: Collection[str]) -> dict[str, Any]:
    fields = ["pk", "status", "uploaded_at", "updated_at"]
    words = sorted({"steps", "facts", *fields, *steps, *facts})
    names = {word: f"#n{number}" for number, word in enumerate(words)}
    paths = [names[field] for field in fields]
    paths += [
        ".".join(names[word] for word in ("steps", step, "facts", fact))
        for step in sorted(steps)
        for fact in sorted(facts)
    ]
    return {
        "ProjectionExpression": ", ".join(paths),
        "ExpressionAttributeNames": {name: word for word, name in names.items()},
    }


def _told(item: Mapping[str, Any]) -> Row:
    fields = decode(item)
    told = [step.get("facts", {}) for _, step in sorted(fields.get("steps", {}).items())]
    kept = {name: fields[name] for name in ("status", "uploaded_at", "updated_at")}
    facts = {name: fact for some in told for name, fact in some.items()}
    return {"key": fields["pk"], **kept, "facts": facts}


def _items(
    dynamodb: Any, query: Mapping[str, Any], first: Mapping[str, Any] | None = None
) -> Iterator[Mapping[str, Any]]:
    """Yield what a query finds, page by page; `first` is its first page, where that is there already."""
    page = _page(dynamodb, query) if first is None else first
    yield from page.get("Items", [])
    while "LastEvaluatedKey" in page:
        page = _page(dynamodb, {**query, "ExclusiveStartKey": page["LastEvaluatedKey"]})
        yield from page.get("Items", [])


def _count(
    dynamodb: Any, table: str, shard: str, max_pages: int, until: datetime | None
) -> tuple[int, bool]:
    query = {**_query(table, shard, None, until), "Select": "COUNT"}
    del query["ScanIndexForward"]
    total = 0
    for _ in range(max_pages):
        page = _page(dynamodb, query)
        total += int(page["Count"])
        if "LastEvaluatedKey" not in page:
            return total, True
        query["ExclusiveStartKey"] = page["LastEvaluatedKey"]
    return total, False
