"""Leave to upload: the browser sends files straight to S3, and only asks us to sign."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from imgpipe.operate.upload import presign
from imgpipe.operate.upload.taken import taken

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from imgpipe.web.app import Console


MOST_NAMES = 1000
"""Names that are asked about at once."""


class Uploads:
    def __init__(self, console: Console) -> None:
        self._console = console

    async def known(self, request: Request) -> Response:
        """Say which names are uploads already: `{"names"}` -> `{name: a free one like it}`."""
        names = (await _json(request)).get("names")
        if not isinstance(names, list) or len(names) > MOST_NAMES:
            raise HTTPException(400, f"These are not up to {MOST_NAMES} names.")
        asked = [str(name) for name in names]
        return JSONResponse(await run_in_threadpool(taken, self._console.project, asked))

    async def form(self, request: Request) -> Response:
        """Sign a form for one file: `{"name"}` -> `{"url", "fields", "key"}`."""
        asked = await _json(request)
        form = presign.form(self._console.project, str(asked.get("name", "")))
        self._console.hub.expect(form.key)
        return JSONResponse({"url": form.url, "fields": dict(form.fields), "key": form.key})

    async def link(self, request: Request) -> Response:
        """Sign one request of a multipart upload: `{"call", "key", "uploadId", "partNumber"}` -> `{"url", "key"}`."""
        asked = await _json(request)
        call: Any = asked.get("call")
        key = str(asked.get("key", ""))
        if call not in get_args(presign.Call):
            raise HTTPException(400, "There is no such request.")
        if call == "create":
            key = presign.key_of(self._console.project, key)
            self._console.hub.expect(key)
        upload, number = _part(asked)
        url = presign.link(self._console.project, call, key, upload, number)
        return JSONResponse({"url": url, "key": key})


def _part(asked: Mapping[str, Any]) -> tuple[str | None, int | None]:
    """Return which upload in parts is meant, and which part of it, where they are named."""
    upload, number = asked.get("uploadId"), asked.get("partNumber")
    if upload is not None and not isinstance(upload, str):
        raise HTTPException(400, "There is no such upload.")
    if number is not None and not (str(number).isascii() and str(number).isdecimal()):
        raise HTTPException(400, "There is no such part.")
    return upload or None, int(number) if number is not None else None


async def _json(request: Request) -> dict[str, Any]:
    try:
        asked = await request.json()
    except ValueError as error:
        raise HTTPException(400, "This is not JSON.") from error
    if not isinstance(asked, dict):
        raise HTTPException(400, "This is not a JSON object.")
    return asked
