"""S3's objects, versions and delete markers: one entry a key; bytes in files.

ministack keeps bodies in memory, or in files whose failure to be written it only logs. Here a body goes into its file
before anything else happens, so a full disk refuses the request and leaves all as it was, and no body stays in memory.
ministack's own persistence of S3 is off; its calls to it remain, and are where changes of a key are noted.
"""

from __future__ import annotations

import json
from typing import Any

from ministack.core.responses import get_account_id
from ministack.services import s3

from imgpipe.local.journal.blobs import Blobs
from imgpipe.local.journal.bodies import BLOB, Bodies
from imgpipe.local.journal.noting import Noting
from imgpipe.local.journal.store import Journal

OBJECT = "object"

_SUBRESOURCES = {
    "tags": s3._object_tags,
    "acl": s3._object_acl,
    "annotations": s3._object_annotations,
    "retention": s3._object_retention,
    "hold": s3._object_legal_hold,
}
"""What ministack keeps beside an object, each by (bucket, key, version)."""


class Objects:
    """Keeps the objects: marks what changed, encodes it for the journal, and brings it back."""

    def __init__(self, book: Journal, blobs: Blobs, bodies: Bodies) -> None:
        self._journal, self._blobs, self._bodies = book, blobs, bodies
        self._stock_write = s3._record_object_version

    def install(self) -> None:
        s3.S3_PERSIST = False
        for store in (s3._object_versions, *_SUBRESOURCES.values()):
            store._data = Noting(self._part_changed, store._data)
        s3._record_object_version = self._write
        s3._persist_version_state = self._version_state
        s3._persist_delete_marker = lambda bucket, key, _marker: self.changed(bucket, key)
        s3._delete_persisted_object = self.changed
        s3._persist_displaced_version = lambda *_: None
        s3._delete_version_file = lambda *_: None

    def changed(self, bucket: str, key: str, account: str | None = None) -> None:
        """Note that something of the key changed: its object, a version, a marker, a tag."""
        owner = account or get_account_id()
        entry = json.dumps([owner, bucket, key])
        self._journal.mark(OBJECT, entry, lambda: self._encode(entry, owner, bucket, key))

    def _part_changed(self, scoped: Any) -> None:
        account, key = scoped
        self.changed(key[0], key[1], account)

    def _write(self, bucket: str, key: str, prior: Any, record: Any, data: Any) -> Any:
        self._bodies.keep(record)
        version_id = self._stock_write(bucket, key, prior, record, data)
        self.changed(bucket, key)
        return version_id

    def _version_state(self, bucket_name: str, key: str, bucket: Any) -> None:
        current = bucket["objects"].get(key)
        if current is not None:
            self._bodies.keep(current)
        self.changed(bucket_name, key)

    def _encode(self, entry: str, account: str, bucket: str, key: str) -> str | None:
        record = s3._buckets._data.get((account, bucket), {}).get("objects", {}).get(key)
        versions = s3._object_versions._data.get((account, (bucket, key))) or []
        self._blobs.refer(entry, _needed(record, versions))
        if record is None and not versions:
            return None
        ids = [None, *(version["version_id"] for version in versions)]
        beside = {
            name: _beside(store, account, bucket, key, ids) for name, store in _SUBRESOURCES.items()
        }
        return json.dumps(
            {
                "record": _plain(record),
                "versions": [_plain(version) for version in versions],
                **{name: values for name, values in beside.items() if values},
            }
        )

    def restore(self) -> None:
        """Bring the objects back into their buckets. Entries of buckets that are no more are dropped."""
        for entry, text in self._journal.load(OBJECT):
            account, bucket, key = json.loads(entry)
            if (account, bucket) in s3._buckets._data:
                self._restore(entry, account, bucket, key, json.loads(text))
            else:
                self._journal.mark(OBJECT, entry, lambda: None)

    def _restore(self, entry: str, account: str, bucket: str, key: str, state: Any) -> None:
        record, versions = state["record"], state["versions"]
        if record is not None:
            s3._buckets._data[account, bucket]["objects"][key] = {"body": None, **record}
        if versions:
            dict.__setitem__(s3._object_versions._data, (account, (bucket, key)), versions)
        for name, store in _SUBRESOURCES.items():
            for version, value in state.get(name, {}).items():
                dict.__setitem__(store._data, (account, (bucket, key, version or None)), value)
        self._blobs.refer(entry, _needed(record, versions))


def _beside(
    store: Any, account: str, bucket: str, key: str, ids: list[str | None]
) -> dict[str, Any]:
    found = {version or "": store._data.get((account, (bucket, key, version))) for version in ids}
    return {version: value for version, value in found.items() if value is not None}


def _needed(record: Any, versions: list[Any]) -> set[str]:
    return {holder[BLOB] for holder in (record, *versions) if holder and holder.get(BLOB)}


def _plain(record: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return what is worth keeping of a record: all but its bytes and ministack's notes to itself."""
    if record is None:
        return None
    left_out = {"body", "data"}
    return {
        name: value for name, value in record.items() if name not in left_out and name[0] != "_"
    }
