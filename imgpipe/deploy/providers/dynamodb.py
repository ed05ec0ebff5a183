"""The table. Everything but its keys can change in place; whoever changes the keys needs another table.

DynamoDB takes one kind of change at a time and only when the table is ACTIVE, refuses to be told a TTL that it has,
and may answer for a while that backups aren't available yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from imgpipe.cloud import error_code
from imgpipe.deploy.providers.site import Site, found, gone
from imgpipe.deploy.resources import Index, Key, Table
from imgpipe.errors import CloudError


class Tables:
    def __init__(self, site: Site) -> None:
        self._site, self._dynamodb = site, site.client("dynamodb")

    def read(self, anchor: str, declared: Mapping[Key, Table]) -> Iterable[Table]:
        there = self._described(anchor)
        if there is None or there["TableStatus"] == "DELETING":
            return
        wanted = declared.get(Key("table", anchor))
        keys = _keys(there["KeySchema"])
        yield Table(
            name=anchor,
            hash_key=keys["HASH"],
            range_key=keys.get("RANGE", ""),
            indexes=_in_order(
                [_index(one) for one in there.get("GlobalSecondaryIndexes", ())], wanted
            ),
            ttl_attribute=self._ttl(anchor),
            recovery=self._recovery(anchor),
            deletion_protection=there.get("DeletionProtectionEnabled", False),
        )

    def create(self, wanted: Table) -> None:
        try:
            self._site.patiently(
                lambda: self._dynamodb.create_table(**self._definition(wanted)),
                lambda error: (
                    error_code(error) == "ResourceInUseException" and self._is_going(wanted.name)
                ),
                "the old table is still being deleted: waiting",
            )
        except ClientError as error:
            if error_code(error) != "ResourceInUseException":
                raise
        self._wait(wanted.name)
        self.update(wanted, self._here(wanted.name))

    def update(self, wanted: Table, before: Table) -> None:
        if (wanted.hash_key, wanted.range_key) != (before.hash_key, before.range_key):
            raise CloudError(
                f"table {wanted.name}",
                "its keys can't be changed",
                hint="imgpipe down --delete-data, then imgpipe up: its rows are lost",
            )
        self._wait(wanted.name)
        before = self._here(wanted.name)
        self._change_indexes(wanted, before)
        if wanted.deletion_protection != before.deletion_protection:
            self._protect(wanted.name, on=wanted.deletion_protection)
        if wanted.ttl_attribute != before.ttl_attribute:
            self._change_ttl(wanted, before)
        if wanted.recovery != before.recovery:
            self._change_recovery(wanted)
        self._dynamodb.tag_resource(
            ResourceArn=self._site.place.table_arn(wanted.name), Tags=self._site.tag_list
        )

    def delete(self, before: Table) -> None:
        """Delete the table and its rows, protected or not: whoever planned it has asked."""
        there = self._described(before.name)
        if there is not None and there["TableStatus"] != "DELETING":
            self._wait(before.name)
            if there.get("DeletionProtectionEnabled"):
                self._protect(before.name, on=False)
            gone(lambda: self._dynamodb.delete_table(TableName=before.name))
        self._site.until(
            lambda: self._described(before.name) is None, f"the end of table {before.name}"
        )

    def _definition(self, wanted: Table) -> dict[str, Any]:
        schema = {"TableName": wanted.name, **_schema(wanted.hash_key, wanted.range_key)}
        indexes = [_index_definition(index) for index in wanted.indexes]
        return {
            **schema,
            "AttributeDefinitions": _attributes(wanted),
            "BillingMode": "PAY_PER_REQUEST",
            "DeletionProtectionEnabled": wanted.deletion_protection,
            "Tags": self._site.tag_list,
            **({"GlobalSecondaryIndexes": indexes} if indexes else {}),
        }

    def _change_indexes(self, wanted: Table, before: Table) -> None:
        """Drop and add indexes, one at a time as DynamoDB asks. A changed index is dropped and added."""
        for change in _index_changes(wanted, before):
            self._dynamodb.update_table(
                TableName=wanted.name,
                AttributeDefinitions=_attributes(wanted),
                GlobalSecondaryIndexUpdates=[change],
            )
            self._site.say("changing an index")
            self._wait(wanted.name)

    def _protect(self, name: str, *, on: bool) -> None:
        self._dynamodb.update_table(TableName=name, DeletionProtectionEnabled=on)
        self._wait(name)

    def _change_ttl(self, wanted: Table, before: Table) -> None:
        for attribute, enabled in ((before.ttl_attribute, False), (wanted.ttl_attribute, True)):
            if attribute:
                self._dynamodb.update_time_to_live(
                    TableName=wanted.name,
                    TimeToLiveSpecification={"AttributeName": attribute, "Enabled": enabled},
                )

    def _change_recovery(self, wanted: Table) -> None:
        self._site.patiently(
            lambda: self._dynamodb.update_continuous_backups(
                TableName=wanted.name,
                PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": wanted.recovery},
            ),
            lambda error: error_code(error) == "ContinuousBackupsUnavailableException",
            "backups aren't available yet: waiting",
        )

    def _wait(self, name: str) -> None:
        self._site.until(lambda: self._is_active(name), f"table {name}")

    def _is_active(self, name: str) -> bool:
        there = self._described(name)
        if there is None:
            return False
        indexes = there.get("GlobalSecondaryIndexes", ())
        return all(
            one.get("TableStatus", one.get("IndexStatus")) == "ACTIVE" for one in (there, *indexes)
        )

    def _is_going(self, name: str) -> bool:
        there = self._described(name)
        return there is not None and there["TableStatus"] == "DELETING"

    def _here(self, name: str) -> Table:
        return next(iter(self.read(name, {})))

    def _described(self, name: str) -> dict[str, Any] | None:
        return found(lambda: self._dynamodb.describe_table(TableName=name)["Table"])

    def _ttl(self, name: str) -> str:
        answer = found(lambda: self._dynamodb.describe_time_to_live(TableName=name)) or {}
        ttl = answer.get("TimeToLiveDescription", {})
        on = ttl.get("TimeToLiveStatus") in {"ENABLED", "ENABLING"}
        return str(ttl.get("AttributeName", "")) if on else ""

    def _recovery(self, name: str) -> bool:
        answer = found(lambda: self._dynamodb.describe_continuous_backups(TableName=name)) or {}
        backups = answer.get("ContinuousBackupsDescription", {})
        status = backups.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus")
        return bool(status == "ENABLED")


def _index_changes(wanted: Table, before: Table) -> Iterator[dict[str, Any]]:
    for index in before.indexes:
        if index not in wanted.indexes:
            yield {"Delete": {"IndexName": index.name}}
    for index in wanted.indexes:
        if index not in before.indexes:
            yield {"Create": _index_definition(index)}


def _index_definition(index: Index) -> dict[str, Any]:
    return {
        "IndexName": index.name,
        **_schema(index.hash_key, index.range_key),
        "Projection": {"ProjectionType": "ALL"},
    }


def _schema(hash_key: str, range_key: str) -> dict[str, Any]:
    return {
        "KeySchema": [
            {"AttributeName": hash_key, "KeyType": "HASH"},
            {"AttributeName": range_key, "KeyType": "RANGE"},
        ]
    }


def _attributes(wanted: Table) -> list[dict[str, str]]:
    pairs = [
        (wanted.hash_key, wanted.range_key),
        *((one.hash_key, one.range_key) for one in wanted.indexes),
    ]
    return [
        {"AttributeName": name, "AttributeType": "S"}
        for name in sorted({key for pair in pairs for key in pair})
    ]


def _keys(schema: list[dict[str, str]]) -> dict[str, str]:
    return {one["KeyType"]: one["AttributeName"] for one in schema}


def _index(there: dict[str, Any]) -> Index:
    keys = _keys(there["KeySchema"])
    return Index(name=there["IndexName"], hash_key=keys["HASH"], range_key=keys.get("RANGE", ""))


def _in_order(indexes: list[Index], wanted: Table | None) -> tuple[Index, ...]:
    """Return the indexes in the declared order, others after them: their order means nothing to DynamoDB."""
    names = [index.name for index in wanted.indexes] if wanted else []
    rank = {name: place for place, name in enumerate(names)}
    return tuple(sorted(indexes, key=lambda index: (rank.get(index.name, len(rank)), index.name)))
