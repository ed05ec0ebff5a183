"""The application: one project, its routes, and how errors look."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from jinja2 import Environment, FileSystemLoader
from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from imgpipe import __version__, cloud
from imgpipe.errors import ImgpipeError, MissingError, UnreachableError, UsageError
from imgpipe.operate.upload import presign
from imgpipe.web import hub, show
from imgpipe.web.desk import Desk
from imgpipe.web.gallery import Gallery
from imgpipe.web.guard import Guard, Rules
from imgpipe.web.hub import Hub
from imgpipe.web.present import Present
from imgpipe.web.uploads import Uploads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.requests import Request

    from imgpipe.operate.project import Project

HERE = Path(__file__).parent
PING_S = 15
PAGE_FAILED = "This page can't be shown"
PART_FAILED = "The cloud didn't answer as it should"


class Console:
    """What the pages share."""

    def __init__(self, project: Project, reopen: Callable[[], Project], *, read_only: bool) -> None:
        self.project, self.read_only = project, read_only
        self.present = Present(project, reopen)
        project.cloud.impatient = project.graph.environment == cloud.LOCAL
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(
            size=show.size, when=show.when, left=show.left, written=show.written
        )
        self._templates.globals.update(
            read_only=read_only,
            pipeline=project.graph.pipeline,
            environment=project.graph.environment,
            version=__version__,
            most_bytes=presign.most_bytes(project),
            most_size=show.size(presign.most_bytes(project)),
            prefix=project.graph.prefix,
        )
        self.gallery = Gallery(self)
        self.hub = Hub(project, self.gallery.tile, self.present.project, discreet=read_only)

    def render(self, template: str, /, **values: Any) -> str:
        return self._templates.get_template(template).render(**values)

    def page(self, template: str, /, **values: Any) -> Response:
        return HTMLResponse(self.render(template, **values))


def application(
    project: Project, rules: Rules, reopen: Callable[[], Project]
) -> tuple[Guard, Callable[[], None]]:
    """Return the console of a project as an ASGI application, and what ends the streams of its open pages.

    `reopen` reads the project's declaration anew.
    """
    console = Console(project, reopen, read_only=rules.read_only)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await console.hub.end()

    handlers: dict[Any, Any] = {
        ImgpipeError: lambda request, error: _failed(console, request, error),
        HTTPException: lambda request, error: _refused(console, request, error),
        **dict.fromkeys(
            (BotoCoreError, ClientError, Exception),
            lambda request, error: _failed(console, request, error),
        ),
    }
    app = Starlette(routes=_routes(console), lifespan=lifespan, exception_handlers=handlers)
    return Guard(app, rules), console.hub.close


def _routes(console: Console) -> list[Route | Mount]:
    gallery, uploads, desk = console.gallery, Uploads(console), Desk(console)

    async def events(request: Request) -> Response:
        for_desk = "desk" in request.query_params and not console.read_only
        return EventSourceResponse(console.hub.events(desk=for_desk), ping=PING_S)

    shown: list[Route | Mount] = [
        Route("/", gallery.index),
        Route("/tiles", gallery.tiles),
        Route("/counts", gallery.counts),
        Route("/image", gallery.image),
        Route("/beside", gallery.beside),
        Route("/made", gallery.made),
        Route("/events", events),
        Mount("/static", StaticFiles(directory=HERE / "static")),
    ]
    if console.read_only:
        return shown
    return [
        *shown,
        Route("/why", gallery.why),
        Route("/original", gallery.original),
        Route("/uploads/known", uploads.known, methods=["POST"]),
        Route("/uploads/form", uploads.form, methods=["POST"]),
        Route("/uploads/link", uploads.link, methods=["POST"]),
        *desk.routes(),
    ]


def _refused(console: Console, request: Request, error: HTTPException) -> Response:
    return _error(console, request, error.status_code, str(error.detail), "", "")


def _failed(console: Console, request: Request, error: Exception) -> Response:
    known = cloud.explain(error, PART_FAILED if _is_part(request) else PAGE_FAILED)
    status = {MissingError: 404, UsageError: 400, UnreachableError: 503}.get(type(known), 502)
    if console.read_only and status >= 500:
        return _error(console, request, status, *hub.DISCREETLY)
    return _error(console, request, status, known.what, known.why, known.hint)


def _is_part(request: Request) -> bool:
    return "hx-request" in request.headers


def _error(
    console: Console, request: Request, status: int, what: str, why: str, hint: str
) -> Response:
    values = {"status": status, "what": what, "why": why, **show.hinted(hint)}
    name = "error_part.html" if _is_part(request) else "error.html"
    return HTMLResponse(console.render(name, **values), status)
