"""Rows by the thousand, put straight into the table: copies of a real image's, so that each has a picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from imgpipe.operate.times import iso
from imgpipe.runtime import row as rows
from tests.browser.conftest import outputs
from tests.e2e.pipeline import Pipeline

Row = dict[str, Any]
BEGIN = datetime(2026, 6, 1, tzinfo=UTC)
BATCH = 25


def model(studio: Pipeline, key: str) -> Row:
    """Return the row of an image that was made, as the table holds it."""
    table = outputs(studio)["table"]
    found = studio.client("dynamodb").get_item(
        TableName=table, Key={"pk": {"S": key}, "sk": {"S": rows.SK_IMAGE}}
    )
    return rows.load(found["Item"])[0]


def copy(of: Row, name: str, age_s: float, **facts: Any) -> Row:
    """Return the row of another image: so many seconds older than `BEGIN`, with facts of its own."""
    at = iso(BEGIN - timedelta(seconds=age_s))
    steps = {
        word: {**step, "facts": {**step["facts"], **facts}} for word, step in of["steps"].items()
    }
    return {**of, "key": f"incoming/{name}", "uploaded_at": at, "updated_at": at, "steps": steps}


def failed(row: Row, status: str, reason: str) -> Row:
    """Return the row as it is when its first step ended so."""
    name = min(row["steps"])
    said = {"class": "ImageError", "message": reason, "reason": reason}
    step = {**row["steps"][name], "status": status, "error": said, "outputs": {}}
    return {**row, "steps": {**row["steps"], name: step}}


def many(of: Row, count: int) -> Iterator[Row]:
    return (copy(of, f"many/{number:06}.jpg", number) for number in range(count))


def put(studio: Pipeline, found: Iterator[Row] | list[Row]) -> None:
    """Write the rows."""
    table = outputs(studio)["table"]
    client = studio.client("dynamodb")

    def write(some: list[Mapping[str, Any]]) -> None:
        requests = [{"PutRequest": {"Item": item}} for item in some]
        answer = client.batch_write_item(RequestItems={table: requests})
        assert not answer.get("UnprocessedItems")

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(write, _batches(found)))


def _batches(found: Iterator[Row] | list[Row]) -> Iterator[list[Mapping[str, Any]]]:
    some: list[Mapping[str, Any]] = []
    for row in found:
        some.append(rows.to_item(row, 1))
        if len(some) == BATCH:
            yield some
            some = []
    if some:
        yield some
