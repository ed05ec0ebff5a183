"""The bodies of S3's records, in files from the first moment.

A record that ministack makes has its bytes in memory; `keep` moves them into a file and leaves the file's name. Bytes
that were just read from a file, or were just put into one, are recognised, so that a copy shares the file and a
completed upload isn't written twice. What is recognised is forgotten at the end of each request.
"""

from __future__ import annotations

import threading
from typing import Any

from ministack.services import s3

from imgpipe.local.journal.blobs import Blobs

BLOB = "blob"


class Bodies:
    """Puts bodies into files and reads them back."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._request = threading.local()

    def keep(self, record: dict[str, Any]) -> None:
        """Move the record's body into a file. Raises JournalError when the disk doesn't take it."""
        body = record.get("body")
        if body is not None and not record.get(BLOB):
            record[BLOB] = self._name_of(body) or self._blobs.write(body)
        if record.get(BLOB):
            record["body"] = None

    def read(self, holder: dict[str, Any], member: str) -> bytes | None:
        """Return the bytes of a record or a version, which ministack would have under `member`."""
        if not holder.get(BLOB):
            return holder.get(member)
        body = self._blobs.read(holder[BLOB])
        self._known().append((body, holder[BLOB]))
        return body

    def expect(self, body: bytes, name: str) -> None:
        """Say that bytes equal to these are in a file already, for the rest of the request."""
        self._request.expected = (body, name)

    def forget(self) -> None:
        self._known().clear()
        self._request.expected = None

    def _known(self) -> list[tuple[bytes, str]]:
        if not hasattr(self._request, "known"):
            self._request.known = []
        known: list[tuple[bytes, str]] = self._request.known
        return known

    def _name_of(self, body: bytes) -> str | None:
        expected = getattr(self._request, "expected", None)
        if expected is not None and expected[0] == body:
            return str(expected[1])
        return next((name for known, name in self._known() if known is body), None)


def install(bodies: Bodies) -> None:
    """Have ministack's records and versions carry the name of a file in place of bytes."""
    stock_build, stock_entry = s3._build_object_record, s3._version_entry_from_record
    stock_record = s3._object_record_from_version

    def build(body: bytes, *args: Any, **named: Any) -> Any:
        record = stock_build(body, *args, **named)
        bodies.keep(record)
        return record

    def version_entry(record: Any, version_id: str, data: Any) -> Any:
        entry = stock_entry(record, version_id, None if record.get(BLOB) else data)
        return {**entry, BLOB: record.get(BLOB)}

    def record_of(version: Any) -> Any:
        return {**stock_record(version), BLOB: version.get(BLOB)}

    s3._build_object_record, s3._version_entry_from_record = build, version_entry
    s3._object_record_from_version = record_of
    s3._read_body = lambda _bucket, _key, record: bodies.read(record, "body") or b""
    s3._version_body = lambda _bucket, _name, _key, version: bodies.read(version, "data")
