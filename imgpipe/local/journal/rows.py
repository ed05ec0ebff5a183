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


def describe() -> dict[str, Any]:
    """Return DynamoDB's settings: the tables without their items."""
    without = type(dynamodb._tables)()
    for key, table in dynamodb._tables._data.items():
        table.setdefault("TableId", new_uuid())
        without._data[key] = {
            name: value
            for name, value in table.items()
            if name not in {"items", dynamodb._INDEX_MEMBERS}
        }
    return {
        "tables": without,
        "tags": dynamodb._tags,
        "ttl_settings": dynamodb._ttl_settings,
        "pitr_settings": dynamodb._pitr_settings,
        "kinesis_destinations": dynamodb._kinesis_destinations,
        "contributor_insights": dynamodb._contributor_insights,
        "backups": dynamodb._backups,
        "resource_policies": dynamodb._resource_policies,
        "exports": dynamodb._exports,
        "imports": dynamodb._imports,
    }


def _mark(book: Journal, table: Any, pk: Any, sk: Any) -> None:
    def encode() -> str | None:
        item = table["items"].get(pk, {}).get(sk)
        return None if item is None else json.dumps(item)

    book.mark(KIND, json.dumps([table["TableId"], pk, sk]), encode)


def restore(book: Journal) -> None:
    """Put the items back into their tables. Entries of tables that are no more are dropped."""
    tables = {table.get("TableId"): table for table in dynamodb._tables._data.values()}
    for table in tables.values():
        table["items"] = defaultdict(dict)
    for key, text in book.load(KIND):
        table_id, pk, sk = json.loads(key)
        table = tables.get(table_id)
        if table is None:
            book.mark(KIND, key, lambda: None)
        else:
            table["items"][pk][sk] = json.loads(text)
    for table in tables.values():
        dynamodb._items_replaced(table)


def install(book: Journal) -> None:
    stock_set, stock_remove, stock_replaced = (
        dynamodb._set_item,
        dynamodb._remove_item,
        dynamodb._items_replaced,
    )

    def set_item(table: Any, pk: Any, sk: Any, item: Any) -> Any:
        old = stock_set(table, pk, sk, item)
        _mark(book, table, pk, sk)
        return old

    def remove_item(table: Any, pk: Any, sk: Any) -> Any:
        old = stock_remove(table, pk, sk)
        _mark(book, table, pk, sk)
        return old

    def replaced(table: Any) -> None:
        stock_replaced(table)
        for pk, items in table["items"].items():
            for sk in items:
                _mark(book, table, pk, sk)

    dynamodb._set_item = set_item
    dynamodb._remove_item = remove_item
    dynamodb._items_replaced = replaced
