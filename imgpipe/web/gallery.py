"""The gallery's pages: tiles by the page, one image closely, its pictures, its original, its timeline."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse

from imgpipe.cloud import error_code
from imgpipe.errors import MissingError, UsageError
from imgpipe.operate import download, gallery, metadata, rows
from imgpipe.operate.hues import NAMES, hues
from imgpipe.operate.images import candidates, short
from imgpipe.operate.times import moment
from imgpipe.operate.why import verdict
from imgpipe.web import show

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from starlette.requests import Request

    from imgpipe.operate.rows import Row
    from imgpipe.operate.why.hop import Hop
    from imgpipe.web.app import Console

PAGE = 40
"""Tiles of a page: rows of 2, 4, 5, 8 and 10 come out even."""
MADE_TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".gif": "image/gif",
}
BEFORE_MOST_BYTES = 40_000_000
"""An original above this isn't fetched for the slider."""
SANDBOX = "default-src 'none'; sandbox"
CHUNK_BYTES = 256 * 1024
COUNTED_PAGES = 1
"""Pages of the index a status and shard, where not all images are held in memory: about 1,500 rows; then `+`."""


LAST_OF_DAY = timedelta(days=1, milliseconds=-1)


def search_of(query: Mapping[str, str]) -> gallery.Search:
    """Return the search that an address asks for. Raises UsageError for a date that is none."""
    now = datetime.now(UTC)
    status = query.get("status", "")
    since, until = query.get("since", ""), query.get("until", "")
    return gallery.Search(
        name=query.get("q", "").strip(),
        camera=query.get("camera", "").strip(),
        colour=query.get("colour", "") if query.get("colour") in NAMES else "",
        tags=tuple(query.get("tag", "").replace(",", " ").split()),
        statuses=(status,) if status in gallery.SHOWN else gallery.SHOWN,
        since=_day(since, now) if since else None,
        until=_day(until, now) + LAST_OF_DAY if until else None,
    )


def _day(text: str, now: datetime) -> datetime:
    try:
        return moment(date.fromisoformat(text).isoformat(), now)
    except ValueError as error:
        raise UsageError(f"{text!r} is no date", "one looks like 2026-11-21") from error


class Gallery:
    def __init__(self, console: Console) -> None:
        self._console = console

    def index(self, request: Request) -> Response:
        query = {name: value for name, value in request.query_params.items() if value}
        return self._console.page(
            "gallery.html",
            query=query,
            filters=sum(name in query for name in ("camera", "tag", "colour", "since", "until")),
            tiles_url=f"/tiles?{urlencode({k: v for k, v in query.items() if k != 'image'})}",
            hues=NAMES,
            statuses=[(name, show.STATUS_WORDS[name]) for name in gallery.SHOWN],
            skeletons=range(PAGE),
        )

    def tiles(self, request: Request) -> Response:
        """A page of tiles, and in a header the address of the next one."""
        query = dict(request.query_params)
        cursor = query.pop("cursor", None)
        search = search_of(query)
        found = self._console.hub.catalogue.page(search, cursor, PAGE)
        body = self._console.render("tiles.html", tiles=[self._tile(row) for row in found.rows])
        again = f"/tiles?{urlencode({**query, 'cursor': found.cursor})}" if found.cursor else ""
        return HTMLResponse(body, headers={"x-next": again, "x-count": str(len(found.rows))})

    def counts(self, _request: Request) -> Response:
        """How many images have each status; `+` where counting stopped. 202 while they are being read."""
        catalogue, project = self._console.hub.catalogue, self._console.project
        if not catalogue.ready:
            return Response(status_code=202)
        held = catalogue.counts()
        counted = {name: (number, True) for name, number in (held or {}).items()} or {
            name: rows.count(project, name, COUNTED_PAGES) for name in gallery.SHOWN
        }
        total = sum(number for number, _ in counted.values())
        counted[""] = (total, all(complete for _, complete in counted.values()))
        words = {name: f"{n:,}{'' if all_ else '+'}" for name, (n, all_) in counted.items()}
        return JSONResponse(words)

    def tile(self, row: Row) -> dict[str, Any]:
        """Return what browsers are sent when a row changed."""
        made = self._tile(row)
        html = self._console.render("tile.html", tile=made)
        return {"key": made.key, "status": made.status, "html": html}

    def _tile(self, row: Row) -> show.Tile:
        console = self._console
        return show.tile(console.project.graph.prefix, row, discreet=console.read_only)

    def image(self, request: Request) -> Response:
        """One image closely; inside the gallery, or as a page of its own for who follows a link."""
        row = metadata.show(self._console.project, request.query_params.get("key", ""))
        values = self._about(row)
        if "hx-request" in request.headers:
            return HTMLResponse(self._console.render("image.html", **values))
        return self._console.page("image_page.html", **values)

    def beside(self, request: Request) -> Response:
        """The addresses of the images before and after one, for its page of its own."""
        row = metadata.show(self._console.project, request.query_params.get("key", ""))
        found = gallery.beside(self._console.project, row)
        before, after = (f"/image?key={quote(key, safe='')}" if key else "" for key in found)
        return JSONResponse({"before": before, "after": after})

    def _about(self, row: Row) -> dict[str, Any]:
        prefix, key = self._console.project.graph.prefix, row["key"]
        variants = [
            {
                "name": name,
                "url": show.made_url(it["key"]),
                "width": it.get("width"),
                "height": it.get("height"),
                "format": str(it.get("format") or "").upper(),
                "size": show.size(it.get("bytes")),
                "saved": show.saved(row, it),
                "shown": it.get("format") in show.SHOWN_FORMATS,
            }
            for name, it in sorted(
                row["outputs"].items(), key=lambda pair: -(pair[1].get("width") or 0)
            )
        ]
        shown = next((it for it in variants if it["name"] == "enhanced"), None)
        first = shown or next((it for it in variants if it["shown"]), None)
        return {
            "tile": self._tile(row),
            "row": row,
            "key": key,
            "name": short(prefix, key),
            "quoted": quote(key, safe=""),
            "variants": variants,
            "first": first,
            "before": self._before(row),
            "facts": list(show.facts(row)),
            "palette": [c for c in row["facts"].get("palette") or () if show_colour(c)],
            "hues": sorted(hues(row["facts"].get("palette") or ())),
            "tags": [str(tag.get("name", "")) for tag in row["facts"].get("tags") or ()],
            "place": show.place(row),
            "original_size": show.size(row.get("size")),
            "faults": show.faults(row),
        }

    def _before(self, row: Row) -> str:
        """Return the original's address, where a browser can show it beside a variant."""
        if self._console.read_only:
            return ""
        fits = row["facts"].get("format") in show.SHOWN_FORMATS
        if not fits or int(row.get("size") or 0) > BEFORE_MOST_BYTES:
            return ""
        return f"/original?key={quote(row['key'], safe='')}"

    def why(self, request: Request) -> Response:
        story = verdict.why(self._console.project, self._key(request))
        return HTMLResponse(self._console.render("why.html", story=story, hops=in_time(story.hops)))

    def made(self, request: Request) -> Response:
        """An output, by its own key. Kept by the browser for good: the key changes with the content."""
        key = request.query_params.get("key", "")
        media = MADE_TYPES.get(PurePosixPath(key).suffix.lower())
        if media is None or not self._is_variant(key):
            raise HTTPException(404, "There is no such picture.")
        answer = self._get(self._console.project.graph.variants_bucket, key)
        headers = {
            "cache-control": "private, max-age=31536000, immutable",
            "content-security-policy": SANDBOX,
        }
        if "download" in request.query_params:
            headers["content-disposition"] = attachment(PurePosixPath(key).name)
        return Response(answer["Body"].read(), media_type=media, headers=headers)

    def original(self, request: Request) -> Response:
        """The original, always to be saved and never opened: it may be anything."""
        found = download.find(self._console.project, self._key(request), None)
        answer = self._get(found.bucket, found.key)
        known = MADE_TYPES.get(PurePosixPath(found.key).suffix.lower(), "application/octet-stream")
        headers = {
            "content-disposition": attachment(found.file_name),
            "content-security-policy": SANDBOX,
            "content-length": str(answer["ContentLength"]),
        }
        chunks: Iterator[bytes] = answer["Body"].iter_chunks(CHUNK_BYTES)
        return StreamingResponse(chunks, media_type=known, headers=headers)

    def _is_variant(self, key: str) -> bool:
        console = self._console
        return download.is_variant(console.project, key) or download.is_variant(
            console.present.project(), key
        )

    def _key(self, request: Request) -> str:
        """Return the full key that is asked for."""
        key = request.query_params.get("key", "")
        return candidates(self._console.project.graph.prefix, key)[0]

    def _get(self, bucket: str, key: str) -> Any:
        s3 = self._console.project.cloud.client("s3")
        try:
            return s3.get_object(Bucket=bucket, Key=key)
        except s3.exceptions.ClientError as error:
            if error_code(error) in {"NoSuchKey", "404"}:
                raise MissingError(key, "it is not there") from error
            raise


def in_time(hops: Sequence[Hop]) -> list[Hop]:
    """Return the hops in order of time; one that has none follows the one before it."""
    last, known = datetime.min.replace(tzinfo=UTC), []
    for hop in hops:
        last = hop.at or last
        known.append((last, hop))
    return [hop for _, hop in sorted(known, key=lambda pair: pair[0])]


def show_colour(text: object) -> bool:
    return isinstance(text, str) and len(text) == 7 and text.startswith("#")


def attachment(name: str) -> str:
    """Return a Content-Disposition that saves under this name, whatever characters it has (RFC 6266)."""
    return f"attachment; filename*=UTF-8''{quote(name, safe='')}"
