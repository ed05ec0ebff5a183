"""The table: whether it takes what it is given, can be asked by time, and holds one row an image."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from imgpipe.operate.doctor.findings import Fault, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from imgpipe.operate.doctor.scene import Scene, Table

_THROTTLES = ("WriteThrottleEvents", "ReadThrottleEvents")
_RANDOM_ID = re.compile(
    r"[0-9a-f]{8}-?[0-9a-f]{4}-?4[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}", re.IGNORECASE
)
_PICTURE = re.compile(r"\.(?:jpe?g|png|webp|gif|tiff?|heic|avif|bmp)$", re.IGNORECASE)
_VERSION = re.compile(r"etag|version|sequencer", re.IGNORECASE)


def throttled(scene: Scene) -> Iterator[Fault]:
    """A table that refuses writes because they come too fast."""
    said = [function for function in scene.functions.values() if function.log.throttled]
    for table in scene.tables.values():
        counts = [scene.measured.get((table.name, metric), 0.0) for metric in _THROTTLES]
        if not (sum(counts) or said):
            continue
        why = (
            f"{sum(counts):,.0f} requests were throttled in the last day"
            if sum(counts)
            else (
                f"function {said[0].name} says: {' '.join(said[0].log.throttled[-1].split())[:160]}"
            )
        )
        yield Fault(
            severity=Severity.BROKEN,
            what=f"table {table.name} throttles",
            why=f"{why}; {_capacity(table)}",
            command=f"aws dynamodb update-table --table-name {table.name} {_more(table)}",
        )
    if said and not scene.tables:
        yield Fault(
            severity=Severity.BROKEN,
            what=f"a table that function {said[0].name} writes to throttles",
            why=" ".join(said[0].log.throttled[-1].split())[:160],
            command="aws dynamodb update-table --table-name NAME --billing-mode PAY_PER_REQUEST",
        )


def _is_provisioned(table: Table) -> bool:
    mode = table.description.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED")
    units = table.description.get("ProvisionedThroughput", {}).get("WriteCapacityUnits", 0)
    return bool(mode == "PROVISIONED" and units)


def _capacity(table: Table) -> str:
    if _is_provisioned(table):
        units = table.description["ProvisionedThroughput"]["WriteCapacityUnits"]
        return f"it takes {units} writes of 1 kB a second"
    most = table.description.get("OnDemandThroughput", {}).get("MaxWriteRequestUnits", -1)
    return (
        f"its own limit is {most} writes a second"
        if most > 0
        else "one key takes 1,000 writes a second"
    )


def _more(table: Table) -> str:
    if _is_provisioned(table):
        return "--billing-mode PAY_PER_REQUEST"
    return "--on-demand-throughput MaxWriteRequestUnits=-1"


def missing(scene: Scene) -> Iterator[Fault]:
    """A table that somebody deleted."""
    for table in scene.tables.values():
        if table.missing:
            yield Fault(
                severity=Severity.BROKEN,
                what=f"table {table.name} is not there",
                why="nothing is known of any image, and results queue up",
                command=scene.mend(table.name, "imgpipe up", "aws dynamodb list-tables"),
            )


def index(scene: Scene) -> Iterator[Fault]:
    """An index that can't be asked for a stretch of time."""
    for table in scene.tables.values():
        for one in table.indexes:
            if not any(key["KeyType"] == "RANGE" for key in one.get("KeySchema", ())):
                yield Fault(
                    severity=Severity.RISK,
                    what=f"index {one['IndexName']} of table {table.name} has no range key",
                    why="it answers no question about a stretch of time or an order: only whole scans do",
                    command=f"aws dynamodb update-table --table-name {table.name} "
                    "--global-secondary-index-updates file://index.json",
                )


def duplicates(scene: Scene) -> Iterator[Fault]:
    """Several rows for one image: each retry made up a new id."""
    for table in scene.tables.values():
        keys = [key["AttributeName"] for key in table.description.get("KeySchema", ())]
        rows: dict[tuple[str, ...], int] = defaultdict(int)
        for item in table.samples:
            if keys and _RANDOM_ID.fullmatch(_text(item, keys[0])):
                rows[_subject(item)] += 1
        twice = [subject for subject, count in rows.items() if subject and count > 1]
        if twice:
            yield Fault(
                severity=Severity.BROKEN,
                what=f"table {table.name} has several rows for one image",
                why=f"its `{keys[0]}` is a random id, made anew at each try: {rows[twice[0]]} rows for {twice[0][0]}",
                command="mend the code: make the id from bucket, key and version, and write under a condition",
            )


def _subject(item: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the picture that a row is about, with its version where the row knows it; nothing for other rows."""
    texts = {name: _text(item, name) for name in item}
    picture = next((text for text in texts.values() if _PICTURE.search(text)), "")
    versions = [text for name, text in sorted(texts.items()) if _VERSION.search(name)]
    return (picture, *versions) if picture else ()


def _text(item: Mapping[str, Any], name: str) -> str:
    return str(item.get(name, {}).get("S", ""))
