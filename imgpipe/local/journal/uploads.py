"""Unfinished multipart uploads: one entry each, a file a part. And what was answered to those that finished, for a
client that didn't hear it.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ministack.core.responses import get_account_id
from ministack.services import s3

from imgpipe.local.journal.blobs import Blobs
from imgpipe.local.journal.bodies import BLOB, Bodies
from imgpipe.local.journal.noting import Noting
from imgpipe.local.journal.store import Journal

UPLOAD, FINISHED = "upload", "upload-finished"

_PART_NUMBER = re.compile(rb"<PartNumber>\s*(\d+)\s*</PartNumber>")


class Uploads:
    """Keeps the uploads: marks what changed, encodes it for the journal, and brings it back."""

    def __init__(self, book: Journal, blobs: Blobs, bodies: Bodies) -> None:
        self._journal, self._blobs, self._bodies = book, blobs, bodies
        self._stock_part, self._stock_part_copy = s3._upload_part, s3._upload_part_copy
        self._stock_complete = s3._complete_multipart_upload

    def install(self) -> None:
        s3._multipart_uploads._data = Noting(self._changed, s3._multipart_uploads._data)
        s3._completed_multipart_uploads._data = Noting(
            self._finished, s3._completed_multipart_uploads._data
        )
        s3._upload_part, s3._upload_part_copy = self._part, self._part_copy
        s3._complete_multipart_upload = self._complete

    # Marking and encoding.

    def _changed(self, key: tuple[str, str]) -> None:
        entry = json.dumps(key)
        self._journal.mark(UPLOAD, entry, lambda: self._encode(entry, key))

    def _encode(self, entry: str, key: tuple[str, str]) -> str | None:
        upload = s3._multipart_uploads._data.get(key)
        if upload is None:
            self._blobs.refer(entry, ())
            return None
        self._blobs.refer(entry, {part[BLOB] for part in upload["parts"].values()})
        return json.dumps(upload)

    def _finished(self, key: tuple[str, str]) -> None:
        def encode() -> str | None:
            found = s3._completed_multipart_uploads._data.get(key)
            if found is None:
                return None
            status, headers, body = found["response"]
            return json.dumps({"key": found["key"], "response": [status, headers, body.decode()]})

        self._journal.mark(FINISHED, json.dumps(key), encode)

    def restore(self) -> None:
        for entry, text in self._journal.load(UPLOAD):
            upload = json.loads(text)
            upload["parts"] = {int(number): part for number, part in upload["parts"].items()}
            self._blobs.refer(entry, {part[BLOB] for part in upload["parts"].values()})
            dict.__setitem__(s3._multipart_uploads._data, tuple(json.loads(entry)), upload)
        for entry, text in self._journal.load(FINISHED):
            found = json.loads(text)
            status, headers, body = found["response"]
            known = {"key": found["key"], "response": (status, headers, body.encode())}
            dict.__setitem__(s3._completed_multipart_uploads._data, tuple(json.loads(entry)), known)

    # In place of ministack's own.

    def _place(self, upload_id: str, number: int, name: str) -> None:
        part = s3._multipart_uploads[upload_id]["parts"][number]
        del part["body"]
        part[BLOB] = name
        self._changed((get_account_id(), upload_id))

    def _part(self, bucket: str, key: str, body: bytes, query: Any, headers: Any) -> Any:
        name = self._blobs.write(body)
        response = self._stock_part(bucket, key, body, query, headers)
        if response[0] == 200:
            self._place(s3._qp(query, "uploadId"), int(s3._qp(query, "partNumber")), name)
        else:
            self._blobs.drop(name)
        return response

    def _part_copy(self, bucket: str, key: str, query: Any, headers: Any) -> Any:
        response = self._stock_part_copy(bucket, key, query, headers)
        if response[0] == 200:
            upload_id, number = s3._qp(query, "uploadId"), int(s3._qp(query, "partNumber", "1"))
            parts = s3._multipart_uploads[upload_id]["parts"]
            try:
                name = self._blobs.write(parts[number]["body"])
            except Exception:
                del parts[number]
                raise
            self._place(upload_id, number, name)
        return response

    def _complete(self, bucket: str, key: str, body: bytes, query: Any, headers: Any = None) -> Any:
        """The whole is in its file before ministack puts the parts together: a full disk leaves the upload be."""
        upload = s3._multipart_uploads.get(s3._qp(query, "uploadId"))
        if upload is None:
            return self._stock_complete(bucket, key, body, query, headers)
        parts = upload["parts"]
        for part in parts.values():
            part["body"] = self._blobs.read(part[BLOB])
        try:
            whole = b"".join(parts[n]["body"] for n in _part_numbers(body) if n in parts)
            name = self._blobs.write(whole)
            self._bodies.expect(whole, name)
            response = self._stock_complete(bucket, key, body, query, headers)
        finally:
            for part in parts.values():
                part.pop("body", None)
        if response[0] != 200:
            self._blobs.drop(name)
        return response


def _part_numbers(document: bytes) -> list[int]:
    return sorted(int(number) for number in _PART_NUMBER.findall(document))
