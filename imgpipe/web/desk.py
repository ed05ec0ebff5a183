"""The desk: how the pipeline is, what failed and its way back, and the mail of the embedded cloud."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, get_args

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from imgpipe import cloud
from imgpipe.deploy import diagram
from imgpipe.errors import MissingError
from imgpipe.local import mailbox
from imgpipe.operate import history as last_hour
from imgpipe.operate import images, rows, status
from imgpipe.operate.backfill import send as reprocessing
from imgpipe.operate.backfill.choose import Asked
from imgpipe.operate.backfill.stale import RATE
from imgpipe.operate.backfill.work import Task
from imgpipe.operate.dlq import by_group
from imgpipe.operate.dlq.route import NoWay
from imgpipe.operate.doctor import run as examination
from imgpipe.operate.erase import run as erasing
from imgpipe.web import show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

    from imgpipe.operate.dlq.groups import Group
    from imgpipe.operate.dlq.mover import Outcome
    from imgpipe.operate.project import Project
    from imgpipe.web.app import Console

PICTURES = 5
MAILS = 30
ERASE_S = 90.0
COMPARISON = "compare.json"
ACTS = {
    "redrive": ("Send them again", "goes back to the step that failed"),
    "canary": ("Send one ahead", ""),
    "rescue": ("Keep them", "is archived and taken out of its queue"),
}


class Desk:
    def __init__(self, console: Console) -> None:
        self._console = console

    @property
    def _project(self) -> Project:
        return self._console.present.project()

    def routes(self) -> list[Route]:
        return [
            Route("/desk", self.index),
            Route("/desk/diagram.css", self.style),
            Route("/desk/state", self.state),
            Route("/desk/history", self.history),
            Route("/desk/letters", self.letters),
            Route("/desk/doctor", self.doctor),
            Route("/desk/mail", self.mail),
            Route("/desk/ask", self.ask),
            Route("/desk/act", self.act, methods=["POST"]),
            Route("/reprocess", self.ask_reprocess),
            Route("/reprocess", self.reprocess, methods=["POST"]),
            Route("/erase", self.ask_erase),
            Route("/erase", self.erase, methods=["POST"]),
            Route("/compare", self.compare),
        ]

    def index(self, _request: Request) -> Response:
        """The page itself, at once; its parts come when they are known."""
        drawn = diagram.svg(self._project.graph)
        before, _, rest = drawn.partition("<style>")
        _, _, after = rest.partition("</style>")
        return self._console.page(
            "desk.html",
            svg=before + after,
            has_mail=self._project.graph.environment == cloud.LOCAL,
        )

    def style(self, _request: Request) -> Response:
        """The picture's own style sheet: a page of ours takes no style that stands inside it."""
        drawn = diagram.svg(self._project.graph)
        style = drawn.partition("<style>")[2].partition("</style>")[0]
        light, _, dark = style.partition("@media (prefers-color-scheme:dark){")
        dark = dark.rpartition("}")[0]
        text = (
            f".diagram{{{light}}}\n"
            f"@media (prefers-color-scheme:dark){{:root:not([data-theme=light]) .diagram{{{dark}}}}}\n"
            f":root[data-theme=dark] .diagram{{{dark}}}\n"
        )
        return Response(text, media_type="text/css")

    def state(self, _request: Request) -> Response:
        found = status.ask(self._project)
        return self._part("desk_state.html", found=found, counts=dict(found.images))

    def history(self, _request: Request) -> Response:
        return JSONResponse(last_hour.history(self._project).as_json())

    def letters(self, _request: Request) -> Response:
        groups = by_group.groups(self._project)
        keys = {str(it.key) for group in groups for it in group.letters[:PICTURES] if it.key}
        known = rows.by_keys(self._project, keys)
        prefix = self._project.graph.prefix
        tiles = {key: show.tile(prefix, row) for key, row in known.items()}
        shown = [
            {**self._group(group, tiles), "stays": self._stays(group)}
            for group in sorted(groups, key=lambda it: it.letters[0].kind == "rejected")
        ]
        return self._part("desk_letters.html", groups=shown, total=sum(it["count"] for it in shown))

    def _stays(self, group: Group) -> str:
        """Return why none of a group can be sent again; "" when one can."""
        ways = [way for _, way in by_group.routes(self._project, group.letters, force=False)]
        whys = [way.why for way in ways if isinstance(way, NoWay)]
        return whys[0].partition(";")[0] if len(whys) == len(ways) else ""

    def _group(self, group: Group, tiles: dict[str, show.Tile]) -> dict[str, Any]:
        prefix = self._project.graph.prefix
        some = list(dict.fromkeys(str(it.key) for it in group.letters if it.key))[:PICTURES]
        return {
            "id": group.id,
            "count": len(group.letters),
            "images": len({it.key or it.id for it in group.letters}),
            "step": group.step,
            "queue": group.letters[0].queue,
            "error": group.error,
            "reason": show.plain(group.reason),
            "left": show.left(group.expires),
            "since": show.when(group.first_seen),
            "pictures": [(key, images.short(prefix, key), tiles.get(key)) for key in some],
            "kind": group.letters[0].kind,
        }

    def doctor(self, _request: Request) -> Response:
        return self._part(
            "desk_doctor.html", report=examination.project(self._console.present.examined())
        )

    def mail(self, _request: Request) -> Response:
        if self._project.graph.environment != cloud.LOCAL:
            raise HTTPException(404, "Only the embedded cloud has a mailbox.")
        every = mailbox.all_mail(self._project.folder)
        return self._part("desk_mail.html", mails=every[-MAILS:][::-1], total=len(every))

    def ask(self, request: Request) -> Response:
        """Show what an action would do to each letter of a group, before it is done."""
        name, what = request.query_params.get("group", ""), self._what(request)
        group = by_group.group(self._project, name)
        ways = by_group.routes(self._project, group.letters, force=False)
        stuck = Counter(way.why for _, way in ways if isinstance(way, NoWay))
        return self._part(
            "desk_ask.html",
            group=self._group(group, {}),
            what=what,
            title=ACTS[what][0],
            meaning=ACTS[what][1],
            goes=len(group.letters) if what == "rescue" else len(ways) - sum(stuck.values()),
            stuck=[] if what == "rescue" else stuck.most_common(),
        )

    def act(self, request: Request) -> Response:
        name, what = request.query_params.get("group", ""), self._what(request)
        force = "force" in request.query_params
        acted = by_group.act(self._project, name, what, force=force)
        for outcome in acted.outcomes:
            if outcome.status == "moved" and outcome.letter.key:
                self._console.hub.expect(outcome.letter.key)
        return self._part("desk_done.html", what=what, ahead=acted.ahead, **_told(acted.outcomes))

    def _what(self, request: Request) -> by_group.Act:
        what: Any = request.query_params.get("act")
        if what not in get_args(by_group.Act):
            raise HTTPException(400, "There is no such action.")
        chosen: by_group.Act = what
        return chosen

    def ask_reprocess(self, request: Request) -> Response:
        """Show what making an image's outputs again would be, before it is done."""
        key = request.query_params.get("key", "")
        choice = reprocessing.count(self._project, _again(key))
        if not choice.within.images:
            raise MissingError(f"image {key}", "there is nothing to make again")
        name = images.short(self._project.graph.prefix, key)
        return self._part("reprocess_ask.html", key=key, name=name, within=choice.within)

    def reprocess(self, request: Request) -> Response:
        key = request.query_params.get("key", "")
        _, run = reprocessing.freeze(self._project, _again(key), RATE)
        if run.images:
            for _ in reprocessing.send(self._project, run, reprocessing.Pace(RATE)):
                pass
            self._console.hub.expect(key)
        return self._part("desk_done.html", moved=run.images, total=run.images or 1, reasons=[])

    def ask_erase(self, request: Request) -> Response:
        """Show what there is of an image, before it is erased."""
        found = erasing.find(self._project, request.query_params.get("key", ""))
        if found.empty:
            raise MissingError(f"image {found.key}", "nothing is left of it")
        held = {kind.replace("_", " "): len(some) for kind, some in found.as_json().items() if some}
        name = images.short(self._project.graph.prefix, found.key)
        return self._part("erase_ask.html", key=found.key, name=name, held=held)

    def erase(self, request: Request) -> Response:
        """Erase, and answer when it is verified that nothing came back: about a quarter of a minute."""
        key = request.query_params.get("key", "")
        *_, receipt = erasing.erase(self._project, key, timeout_s=ERASE_S)
        if receipt.complete:
            self._console.hub.gone(receipt.key)
        return self._part("erase_done.html", receipt=receipt)

    def compare(self, _request: Request) -> Response:
        """A saved run of `imgpipe load --compare`."""
        file = self._project.folder / COMPARISON
        try:
            told = json.loads(file.read_text())
            phases = told["phases"] if told["kind"] == "compare" else []
            weathers = {
                it["weather"]: [each for each in phases if each["weather"] == it["weather"]]
                for it in phases
            }
            most = max((it["upload_s"].get("p95") or 0 for it in phases), default=0) or 1
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            weathers, most = {}, 1
        return self._console.page(
            "compare.html", weathers=list(weathers.items()), most=most, file=COMPARISON
        )

    def _part(self, template: str, /, **values: Any) -> Response:
        return HTMLResponse(self._console.render(template, now=datetime.now(UTC), **values))


def _again(key: str) -> Asked:
    """Return the wish for one image: the first whose key begins so is that one itself."""
    return Asked(task=Task(command="reprocess"), below=key, images=1, again=True)


def _told(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    counts = Counter(outcome.status for outcome in outcomes)
    reasons = Counter(it.why for it in outcomes if it.status != "moved" and it.why)
    return {"moved": counts["moved"], "total": len(outcomes), "reasons": reasons.most_common()}
