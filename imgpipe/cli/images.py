"""`upload`, `download`, `metadata`: images in, images and what is known of them out."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from imgpipe import errors
from imgpipe.cli import options, render

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from imgpipe.deploy.model import Spec
    from imgpipe.operate.project import Project
    from imgpipe.operate.upload.send import Progress, Sent
    from imgpipe.operate.upload.sources import LeftOut, NotSent, Source
    from imgpipe.operate.wait import Ended

IMAGES = "Images"


class ShowByDefault(TyperGroup):
    """`imgpipe metadata KEY` means `imgpipe metadata show KEY`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, "-h", "--help"}:
            args = ["show", *args]
        return super().parse_args(ctx, args)


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=IMAGES)(upload)
    app.command(rich_help_panel=IMAGES)(download)
    metadata = typer.Typer(cls=ShowByDefault, no_args_is_help=True)
    metadata.command("show")(show)
    metadata.command("list")(list_rows)
    app.add_typer(
        metadata,
        name="metadata",
        help="What is known of an image, or of many: `metadata KEY` shows one.",
        rich_help_panel=IMAGES,
    )


Paths = Annotated[
    list[str] | None, typer.Argument(metavar="PATH", help="Files, folders and globs.")
]
Key = Annotated[str, typer.Argument(help="The image's key, with or without the pipeline's prefix.")]


def upload(
    paths: Paths = None,
    prefix: Annotated[
        str, typer.Option(help="Put the keys below this, inside the pipeline's own prefix.")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the keys; send nothing.")
    ] = False,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Also what in a folder is hidden, or not an image."),
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until each image is done, rejected or failed.")
    ] = False,
    timeout: Annotated[str, typer.Option(help="How long to wait for an image at most.")] = "5m",
    notify: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS", help="Who hears of the end by e-mail; one of notify.uploaders."
        ),
    ] = "",
    via_api: Annotated[
        bool,
        typer.Option(
            "--via-api", help="Over HTTP, as others do: see uploads.direct in pipeline.yaml."
        ),
    ] = False,
    abort_stale: Annotated[
        bool,
        typer.Option(
            "--abort-stale", help="Abort unfinished uploads that are no longer under way."
        ),
    ] = False,
    older_than: Annotated[
        str, typer.Option(help="With --abort-stale: how long ago the last part came.")
    ] = "1h",
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """Upload files, folders and globs; the keys keep the folder structure.

    photo.jpg becomes incoming/photo.jpg; a folder keeps its own name. What in a folder is hidden or
    not an image is left out; a file that you name is always sent. Interrupted, run it again:
    large files go on where they stopped. Exits 1 if any file was not uploaded or, with --wait, any
    image was not done.
    """
    from imgpipe.operate.times import duration
    from imgpipe.operate.upload import run, sources

    timeout_s, older_than_s = duration(timeout), duration(older_than)
    named = _Named(paths or [], prefix, everything, notify, wait, via_api)
    sources.refuse_collisions(named.paths, everything=everything)
    if not named.paths and not abort_stale:
        raise errors.UsageError(
            "upload", "name a file, a folder or a glob", hint="imgpipe upload photo.jpg --wait"
        )
    if via_api and notify:
        raise errors.UsageError(
            "--notify", "an upload over HTTP carries no address", hint="leave out --via-api"
        )
    if dry_run:
        _dry_run(named, env, file, json)
        return
    project = _open(file, env)
    if abort_stale:
        _abort_stale(project, prefix, older_than_s)
    if named.paths:
        run.refuse_if_unheard(project)
        _upload(project, named, timeout_s if wait else None, json)


def _open(file: Path, env: str) -> Project:
    from imgpipe.operate.project import open_project

    return open_project(file, env)


@dataclass(frozen=True, slots=True)
class _Named:
    """What to upload, as a person said it."""

    paths: list[str]
    below: str
    everything: bool
    notify: str
    wait: bool
    via_api: bool

    def find(self, spec: Spec) -> Iterator[Source | NotSent | LeftOut]:
        """Yield the files. Raises UsageError for a `notify` that the pipeline doesn't know."""
        from imgpipe.operate.upload import asked, sources

        target = sources.target(spec.uploads.prefix, self.below)
        found = sources.find(self.paths, target, spec.uploads.suffixes, everything=self.everything)
        if self.notify:
            found = asked.tell(found, asked.uploader(spec, self.notify))
        return asked.worked_on(found, spec) if self.wait else found


def _dry_run(named: _Named, env: str, file: Path, json: bool) -> None:
    from imgpipe.cli.views import upload as view
    from imgpipe.cli.views import words
    from imgpipe.cli.views.json_list import JsonList
    from imgpipe.deploy import spec
    from imgpipe.operate.upload import sources

    declared = spec.load(file, env)
    fine = True
    with ExitStack() as stack:
        listing = stack.enter_context(JsonList()) if json else None
        for item in named.find(declared):
            if isinstance(item, sources.LeftOut):
                render.err().print(view.left_out_line(item), soft_wrap=True)
            elif isinstance(item, sources.NotSent):
                fine = False
                render.err().print(view.not_sent_line(item), soft_wrap=True)
            elif listing:
                listing.add({"path": item.path, "key": item.key, "size": item.size})
            else:
                words.line(view.planned_line(item))
    if named.via_api:
        render.err().print(
            "the API puts each file into a folder of its own there: its keys are new"
        )
    if not fine:
        raise typer.Exit(errors.FAILED)


def _abort_stale(project: Project, below: str, older_than_s: float) -> None:
    from datetime import UTC, datetime

    from imgpipe.cli.views import words
    from imgpipe.operate.upload import sources, stale

    count = size = 0
    target = sources.target(project.graph.prefix, below)
    for upload_ in stale.abort(project, target, older_than_s, datetime.now(UTC)):
        count, size = count + 1, size + upload_.size
        last = words.ago(upload_.last_active)
        render.err().print(
            f"aborted: {render.safe(upload_.key)} [dim]({render.size(upload_.size)}, last part {last})[/]",
            soft_wrap=True,
        )
    render.err().print(
        f"{words.plural(count, 'unfinished upload')} aborted, {render.size(size)} freed"
    )


def _upload(project: Project, named: _Named, timeout_s: float | None, json: bool) -> None:
    from imgpipe.cli.views import upload as view
    from imgpipe.cli.views.json_list import JsonList
    from imgpipe.operate.upload import sources

    tally = view.Tally()

    def leave_out(item: LeftOut) -> None:
        tally.left_out += 1
        render.err().print(view.left_out_line(item), soft_wrap=True)

    files, size = sources.count(named.find(project.spec), leave_out)
    with ExitStack() as stack:
        listing = stack.enter_context(JsonList()) if json else None
        waiting = timeout_s is not None
        bars = view.Bars(stack.enter_context(view.bar()), files, size, waiting=waiting)
        found = sources.meant(named.find(project.spec))
        stack.callback(lambda: view.tell_if_cut_short(tally))
        for event in _events(project, found, bars.more, timeout_s, named.via_api):
            tally.add(event)
            bars.update(tally)
            _tell(event, listing, waiting=waiting)
        tally.ended = True
    _conclude(tally, project.graph.prefix, show_table=timeout_s is not None and not json)


def _events(
    project: Project,
    found: Iterable[Source | NotSent],
    progress: Progress,
    timeout_s: float | None,
    via_api: bool,
) -> Iterator[Sent | NotSent | Ended]:
    from imgpipe.operate.upload.run import run
    from imgpipe.operate.wait import follow

    sent = run(project, found, progress, via_api=via_api)
    return sent if timeout_s is None else follow(project, sent, timeout_s)


def _tell(event: Sent | NotSent | Ended, listing: Any, *, waiting: bool) -> None:
    """Say at once what can be said at once; the table of images comes at the end."""
    from imgpipe.cli.views import upload as view
    from imgpipe.cli.views import words
    from imgpipe.operate.upload.send import Sent
    from imgpipe.operate.upload.sources import NotSent

    if isinstance(event, NotSent):
        render.err().print(view.not_sent_line(event), soft_wrap=True)
        if listing and event.key:
            listing.add(view.not_sent_json(event))
    elif isinstance(event, Sent):
        if listing and not waiting:
            listing.add(view.sent_json(event))
        elif not waiting:
            words.line(view.sent_line(event))
    elif listing:
        listing.add(event.as_json())


def _conclude(tally: Any, prefix: str, *, show_table: bool) -> None:
    from imgpipe.cli.views import upload as view
    from imgpipe.cli.views import words

    if show_table and tally.ends:
        words.put(view.table(tally))
        if more := view.left_out(tally):
            render.err().print(more)
    render.err().print(view.summary(tally), soft_wrap=True)
    for line in view.hints(view.next_commands(tally, prefix)):
        render.err().print(line, soft_wrap=True)
    if not tally.all_well:
        raise typer.Exit(errors.FAILED)


def download(
    key: Key,
    variant: Annotated[
        str | None,
        typer.Option("--variant", "-v", help="A variant, such as thumb; the original otherwise."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="A file or folder to write to.", dir_okay=True),
    ] = None,
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """Download an image's original or one of its variants."""
    from imgpipe.cli.views import upload as view
    from imgpipe.operate import download as verb
    from imgpipe.operate import up

    project = _open(file, env)
    with up.needed(project):
        found = verb.find(project, key, variant)
    target = verb.place(found, out)
    with view.bar() as bar:
        task = bar.add_task(render.safe(target.name), total=None, amount="")

        def progress(so_far: int, whole: int) -> None:
            amount = f"{render.size(so_far)} of {render.size(whole)}"
            bar.update(task, completed=so_far, total=whole, amount=amount)

        size = verb.fetch(project, found, target, progress)
    if json:
        render.print_json(
            {"path": str(target), "bucket": found.bucket, "key": found.key, "size": size}
        )
    else:
        render.out().print(f"{render.safe(target)} [dim]({render.size(size)})[/]", soft_wrap=True)


def show(
    key: Key,
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """Show all that is known of an image: its steps, variants, camera and colours."""
    from imgpipe.operate import metadata, up

    project = _open(file, env)
    with up.needed(project):
        row = metadata.show(project, key)
    if json:
        render.print_json(row)
        return
    from imgpipe.cli.views import metadata as view
    from imgpipe.cli.views import words

    words.put(*view.show(row, project.graph.prefix))


Status = Annotated[
    list[str] | None,
    typer.Option(
        help="done, rejected, failed, in_flight or removed; may be given again. All but removed otherwise."
    ),
]
Moment = Annotated[
    str | None, typer.Option(help="A date, a time or an age: 2026-11-21, 2026-11-21T07:00, 3h.")
]


def list_rows(
    status: Status = None,
    since: Moment = None,
    until: Moment = None,
    prefix: Annotated[str, typer.Option(help="Only keys that begin so.")] = "",
    tag: Annotated[
        list[str] | None, typer.Option(help="Only images with this tag; may be given again.")
    ] = None,
    camera: Annotated[
        str, typer.Option(help="Only with this in the camera's or lens's name.")
    ] = "",
    limit: Annotated[int | None, typer.Option(help="At most so many.", min=1)] = None,
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """List images, the latest upload first, by status, date, prefix, tag and camera.

    The table is read by status and date; with --prefix, --tag or --camera alone, all of it is.
    """
    from datetime import UTC, datetime

    from imgpipe.operate import images, metadata, rows, times, up

    now = datetime.now(UTC)
    first, last = (times.moment(text, now) if text else None for text in (since, until))
    wanted = _statuses(status)
    project = _open(file, env)
    key_prefix = images.listing_prefix(project.graph.prefix, prefix)
    with up.needed(project):
        found = rows.by_status(
            project,
            wanted,
            since=first,
            until=last,
            prefix=key_prefix,
            limit=limit,
            where=metadata.shows(tag or (), camera),
        )
    if json:
        from imgpipe.cli.views.json_list import JsonList

        with JsonList() as listing:
            for row in found:
                listing.add(row)
        return
    from imgpipe.cli.views import metadata as view
    from imgpipe.cli.views import words

    none = True
    for page in view.pages(found, words.width(), project.graph.prefix):
        none = False
        words.put(page)
    if none:
        render.err().print("no images")


def _statuses(wanted: list[str] | None) -> tuple[str, ...]:
    from imgpipe.operate.rows import STATUSES

    chosen = tuple(dict.fromkeys(word.replace("-", "_") for word in wanted or ()))
    for word in chosen:
        if word not in STATUSES:
            raise errors.UsageError(f"status {word!r}", f"it is one of {', '.join(STATUSES)}")
    return chosen or tuple(word for word in STATUSES if word != "removed")
