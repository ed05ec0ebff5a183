"""S3's objects, versions, delete markers and unfinished uploads: one entry a key, one an upload; bytes in files.

ministack keeps bodies in memory, or in files whose failure to be written it only logs. Here a body goes into its file
before anything else happens, so a full disk refuses the request and leaves all as it was, and no body stays in memory.
ministack's own persistence of S3 is off; its calls to it remain, and are where changes of a key are noted.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from typing import Any

from ministack.core.responses import get_account_id
from ministack.services import s3

from imgpipe.local.journal.blobs import Blobs
from imgpipe.local.journal.store import Journal

OBJECT, UPLOAD, COMPLETED = "object", "upload", "upload-completed"

_PART_NUMBER = re.compile(rb"<PartNumber>\s*(\d+)\s*</PartNumber>")

_SUBRESOURCES = {
    "tags": s3._object_tags,
    "acl": s3._object_acl,
    "annotations": s3._object_annotations,
    "retention": s3._object_retention,
    "hold": s3._object_legal_hold,
}
"""What ministack keeps beside an object, each by (bucket, key, version)."""


class Noting(dict[Any, Any]):
    """A dict that tells which of its keys were set or taken away."""

    def __init__(self, note: Any, content: dict[Any, Any]) -> None:
        super().__init__(content)
        self._note = note

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        self._note(key)

    def __delitem__(self, key: Any) -> None:
        super().__delitem__(key)
        self._note(key)

    def pop(self, key: Any, *default: Any) -> Any:
        found = key in self
        value = super().pop(key, *default)
        if found:
            self._note(key)
        return value

    def setdefault(self, key: Any, default: Any = None) -> Any:
        value = super().setdefault(key, default)
        self._note(key)
        return value


class Objects:
    """Keeps S3's data: marks what changed, encodes it for the journal, and brings it back."""

    def __init__(self, book: Journal, blobs: Blobs) -> None:
        self._journal, self._blobs = book, blobs
        self._known = threading.local()
        book.after_commit.append(blobs.settle)

    # Marking.

    def changed(self, bucket: str, key: str, account: str | None = None) -> None:
        owner = account or get_account_id()
        entry = json.dumps([owner, bucket, key])
        self._journal.mark(OBJECT, entry, lambda: self._encode(entry, owner, bucket, key))

    def upload_changed(self, account: str, upload_id: str) -> None:
        entry = json.dumps([account, upload_id])
        self._journal.mark(UPLOAD, entry, lambda: self._encode_upload(entry, account, upload_id))

    def completed(self, account: str, upload_id: str) -> None:
        def encode() -> str | None:
            found = s3._completed_multipart_uploads._data.get((account, upload_id))
            if found is None:
                return None
            status, headers, body = found["response"]
            return json.dumps({"key": found["key"], "response": [status, headers, body.decode()]})

        self._journal.mark(COMPLETED, json.dumps([account, upload_id]), encode)

    # Encoding.

    def _encode(self, entry: str, account: str, bucket: str, key: str) -> str | None:
        record = s3._buckets._data.get((account, bucket), {}).get("objects", {}).get(key)
        versions = s3._object_versions._data.get((account, (bucket, key))) or []
        ids = [None, *(version["version_id"] for version in versions)]
        beside = {
            name: {
                version or "": store._data[account, (bucket, key, version)]
                for version in ids
                if (account, (bucket, key, version)) in store._data
            }
            for name, store in _SUBRESOURCES.items()
        }
        named = [part["blob"] for part in (record, *versions) if part and part.get("blob")]
        self._blobs.refer(entry, set(named))
        if record is None and not versions:
            return None
        state = {"record": _plain(record), "versions": [_plain(version) for version in versions]}
        return json.dumps({**state, **{name: values for name, values in beside.items() if values}})

    def _encode_upload(self, entry: str, account: str, upload_id: str) -> str | None:
        upload = s3._multipart_uploads._data.get((account, upload_id))
        if upload is None:
            self._blobs.refer(entry, ())
            return None
        self._blobs.refer(entry, {part["blob"] for part in upload["parts"].values()})
        return json.dumps(upload)

    # Bytes.

    def keep_body(self, record: dict[str, Any]) -> None:
        """Move the record's body into a file, or share the file that it was read from."""
        body = record.get("body")
        if body is None or record.get("blob"):
            return
        record["blob"] = self._known_name(body) or self._blobs.write(body)
        record["body"] = None

    def _recent(self) -> list[tuple[bytes, str]]:
        if not hasattr(self._known, "recent"):
            self._known.recent = []
        recent: list[tuple[bytes, str]] = self._known.recent
        return recent

    def _known_name(self, body: bytes) -> str | None:
        staged = getattr(self._known, "staged", None)
        if staged is not None and staged[0] == body:
            return str(staged[1])
        return next((name for known, name in self._recent() if known is body), None)

    def stage(self, body: bytes | None, name: str) -> None:
        """Expect a record with this body next: it is in a file already. None ends the expectation."""
        self._known.staged = None if body is None else (body, name)

    def know(self, body: bytes, name: str) -> None:
        """Remember, for the length of a request, which file these very bytes are in."""
        self._recent().append((body, name))

    def forget(self) -> None:
        self._recent().clear()

    def read(self, holder: dict[str, Any], member: str) -> bytes | None:
        if holder.get("blob"):
            body = self._blobs.read(holder["blob"])
            self.know(body, holder["blob"])
            return body
        return holder.get(member)

    # Restoring.

    def restore(self) -> None:
        """Bring the objects back into their buckets. Entries of buckets that are no more are dropped."""
        for entry, text in self._journal.load(OBJECT):
            account, bucket, key = json.loads(entry)
            if (account, bucket) in s3._buckets._data:
                self._restore_object(entry, account, bucket, key, json.loads(text))
            else:
                self._journal.mark(OBJECT, entry, lambda: None)
        for entry, text in self._journal.load(UPLOAD):
            account, upload_id = json.loads(entry)
            upload = json.loads(text)
            upload["parts"] = {int(number): part for number, part in upload["parts"].items()}
            self._blobs.refer(entry, {part["blob"] for part in upload["parts"].values()})
            dict.__setitem__(s3._multipart_uploads._data, (account, upload_id), upload)
        for entry, text in self._journal.load(COMPLETED):
            account, upload_id = json.loads(entry)
            found = json.loads(text)
            status, headers, body = found["response"]
            done = {"key": found["key"], "response": (status, headers, body.encode())}
            dict.__setitem__(s3._completed_multipart_uploads._data, (account, upload_id), done)
        self._blobs.sweep()

    def _restore_object(self, entry: str, account: str, bucket: str, key: str, state: Any) -> None:
        record, versions = state["record"], state["versions"]
        if record is not None:
            s3._buckets._data[account, bucket]["objects"][key] = {"body": None, **record}
        if versions:
            dict.__setitem__(s3._object_versions._data, (account, (bucket, key)), versions)
        for name, store in _SUBRESOURCES.items():
            for version, value in state.get(name, {}).items():
                dict.__setitem__(store._data, (account, (bucket, key, version or None)), value)
        self._blobs.refer(
            entry, {part["blob"] for part in (record, *versions) if part and part.get("blob")}
        )


def _plain(record: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return what is worth keeping of a record: all but its bytes and ministack's notes to itself."""
    if record is None:
        return None
    return {
        name: value
        for name, value in record.items()
        if name not in {"body", "data"} and name[0] != "_"
    }


def _part_numbers(document: bytes) -> Iterator[int]:
    return (int(number) for number in sorted(_PART_NUMBER.findall(document), key=int))


def install(objects: Objects, blobs: Blobs) -> None:
    """Put `objects` where ministack keeps, reads and notes S3's data."""
    s3.S3_PERSIST = False
    _note_changes(objects)
    _keep_bodies(objects)
    _keep_parts(objects, blobs)


def _note_changes(objects: Objects) -> None:
    def by_key(scoped: Any) -> None:
        account, key = scoped
        objects.changed(key[0], key[1], account)

    for store in (s3._object_versions, *_SUBRESOURCES.values()):
        store._data = Noting(by_key, store._data)
    s3._multipart_uploads._data = Noting(
        lambda key: objects.upload_changed(*key), s3._multipart_uploads._data
    )
    s3._completed_multipart_uploads._data = Noting(
        lambda key: objects.completed(*key), s3._completed_multipart_uploads._data
    )

    def version_state(bucket_name: str, key: str, bucket: Any) -> None:
        current = bucket["objects"].get(key)
        if current is not None and current.get("blob"):
            current["body"] = None
        objects.changed(bucket_name, key)

    s3._persist_version_state = version_state
    s3._persist_delete_marker = lambda bucket, key, _marker: objects.changed(bucket, key)
    s3._delete_persisted_object = objects.changed
    s3._persist_displaced_version = lambda *_: None
    s3._delete_version_file = lambda *_: None


def _keep_bodies(objects: Objects) -> None:
    stock_build, stock_entry = s3._build_object_record, s3._version_entry_from_record
    stock_record, stock_write = s3._object_record_from_version, s3._record_object_version

    def build(body: bytes, *args: Any, **named: Any) -> Any:
        record = stock_build(body, *args, **named)
        objects.keep_body(record)
        return record

    def version_entry(record: Any, version_id: str, data: Any) -> Any:
        entry = stock_entry(record, version_id, None if record.get("blob") else data)
        return {**entry, "blob": record.get("blob")}

    def record_of(version: Any) -> Any:
        return {**stock_record(version), "blob": version.get("blob")}

    def write(bucket: str, key: str, prior: Any, record: Any, data: Any) -> Any:
        objects.keep_body(record)
        version_id = stock_write(bucket, key, prior, record, data)
        objects.changed(bucket, key)
        return version_id

    s3._build_object_record, s3._version_entry_from_record = build, version_entry
    s3._object_record_from_version, s3._record_object_version = record_of, write
    s3._read_body = lambda _bucket, _key, record: objects.read(record, "body") or b""
    s3._version_body = lambda _bucket, _name, _key, version: objects.read(version, "data")


def _keep_parts(objects: Objects, blobs: Blobs) -> None:
    stock_part, stock_copy, stock_complete = (
        s3._upload_part,
        s3._upload_part_copy,
        s3._complete_multipart_upload,
    )

    def place(upload_id: str, number: int, name: str) -> None:
        part = s3._multipart_uploads[upload_id]["parts"][number]
        del part["body"]
        part["blob"] = name
        objects.upload_changed(get_account_id(), upload_id)

    def upload_part(bucket: str, key: str, body: bytes, query: Any, headers: Any) -> Any:
        name = blobs.write(body)
        response = stock_part(bucket, key, body, query, headers)
        if response[0] == 200:
            place(s3._qp(query, "uploadId"), int(s3._qp(query, "partNumber")), name)
        else:
            blobs.drop(name)
        return response

    def upload_part_copy(bucket: str, key: str, query: Any, headers: Any) -> Any:
        response = stock_copy(bucket, key, query, headers)
        if response[0] == 200:
            upload_id, number = s3._qp(query, "uploadId"), int(s3._qp(query, "partNumber", "1"))
            parts = s3._multipart_uploads[upload_id]["parts"]
            try:
                name = blobs.write(parts[number]["body"])
            except Exception:
                del parts[number]
                raise
            place(upload_id, number, name)
        return response

    def complete(bucket: str, key: str, body: bytes, query: Any, headers: Any = None) -> Any:
        upload = s3._multipart_uploads.get(s3._qp(query, "uploadId"))
        parts = upload["parts"] if upload else {}
        for part in parts.values():
            part["body"] = blobs.read(part["blob"])
        whole = b"".join(parts[number]["body"] for number in _part_numbers(body) if number in parts)
        name = blobs.write(whole) if upload else ""
        objects.stage(whole, name)
        try:
            response = stock_complete(bucket, key, body, query, headers)
        finally:
            objects.stage(None, "")
            for part in parts.values():
                part.pop("body", None)
        if upload and response[0] != 200:
            blobs.drop(name)
        return response

    s3._upload_part, s3._upload_part_copy = upload_part, upload_part_copy
    s3._complete_multipart_upload = complete
