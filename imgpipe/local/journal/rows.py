"""DynamoDB's items: one entry an item, under its table's id.

ministack changes items in three functions only, and never in place, so those three are where changes are noted.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from ministack.core.responses import new_uuid
from ministack.services import dynamodb

from imgpipe.local.journal.store import Journal

KIND = "item"

_SETTINGS = (
    "tags",
    "ttl_settings",
    "pitr_settings",
    "kinesis_destinations",
    "contributor_insights",
    "backups",
    "resource_policies",
    "exports",
    "imports",
)


def describe() -> dict[str, Any]:
    """Return DynamoDB's settings: the tables without their items."""
    left_out = {"items", dynamodb._INDEX_MEMBERS}
    tables = type(dynamodb._tables)()
    for key, table in dynamodb._tables._data.items():
        table.setdefault("TableId", new_uuid())
        tables._data[key] = {name: value for name, value in table.items() if name not in left_out}
    return {"tables": tables, **{name: getattr(dynamodb, f"_{name}") for name in _SETTINGS}}


class Rows:
    """Keeps the items: marks what changed, encodes it for the journal, and brings it back."""

    def __init__(self, book: Journal) -> None:
        self._journal = book
        self._stock_set, self._stock_remove = dynamodb._set_item, dynamodb._remove_item
        self._stock_replaced = dynamodb._items_replaced

    def install(self) -> None:
        dynamodb._set_item = self._set
        dynamodb._remove_item = self._remove
        dynamodb._items_replaced = self._replaced

    def _changed(self, table: Any, pk: Any, sk: Any) -> None:
        def encode() -> str | None:
            item = table["items"].get(pk, {}).get(sk)
            return None if item is None else json.dumps(item)

        self._journal.mark(KIND, json.dumps([table["TableId"], pk, sk]), encode)

    def _set(self, table: Any, pk: Any, sk: Any, item: Any) -> Any:
        old = self._stock_set(table, pk, sk, item)
        self._changed(table, pk, sk)
        return old

    def _remove(self, table: Any, pk: Any, sk: Any) -> Any:
        old = self._stock_remove(table, pk, sk)
        self._changed(table, pk, sk)
        return old

    def _replaced(self, table: Any) -> None:
        self._stock_replaced(table)
        for pk, items in table["items"].items():
            for sk in items:
                self._changed(table, pk, sk)

    def restore(self) -> None:
        """Put the items back into their tables. Entries of tables that are no more are dropped."""
        tables = {table.get("TableId"): table for table in dynamodb._tables._data.values()}
        for table in tables.values():
            table["items"] = defaultdict(dict)
        for key, text in self._journal.load(KIND):
            table_id, pk, sk = json.loads(key)
            if table_id in tables:
                tables[table_id]["items"][pk][sk] = json.loads(text)
            else:
                self._journal.mark(KIND, key, lambda: None)
        for table in tables.values():
            self._stock_replaced(table)
