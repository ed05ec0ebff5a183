"""`dashboard` and `events`: the page of graphs, and what S3 says to whom."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgpipe.cli import options, render
from imgpipe.errors import PendingError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgpipe.operate.bus import BusRule
    from imgpipe.operate.dashboard import Figure, Page
    from imgpipe.operate.events import Heard, Live, Told

PANEL = "Watch and mend"


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=PANEL)(dashboard)
    app.command(rich_help_panel=PANEL)(events)


def dashboard(
    open_it: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """Print the address of the CloudWatch dashboard; on this machine, which has no console, its figures."""
    from imgpipe.operate import dashboard as verb
    from imgpipe.operate.project import open_project

    page = verb.page(open_project(file, env))
    if json:
        render.print_json(page.as_json())
    elif page.url:
        typer.echo(page.url)
    else:
        _show(page)
    if open_it:
        _open(page)


def _open(page: Page) -> None:
    if page.url is None:
        render.err().print("the embedded cloud has no console to open: use imgpipe status --watch")
        return
    import webbrowser

    if not webbrowser.open(page.url):
        render.err().print("there is no browser here: open the address yourself")


def _show(page: Page) -> None:
    """Print the latest and the highest value of each line; charts that measured nothing in one line."""
    made = render.table("CHART", "LINE", "LATEST", "HIGHEST", right=["LATEST", "HIGHEST"])
    seen, silent = "", []
    for figure in page.figures:
        if figure.latest is None or figure.highest is None:
            silent.append(figure)
            continue
        chart = "" if figure.chart == seen else figure.chart
        seen = figure.chart
        made.add_row(
            *map(
                render.safe, (chart, figure.series, _number(figure.latest), _number(figure.highest))
            )
        )
    render.out().print(made)
    render.err().print(_rest(silent))


def _rest(silent: list[Figure]) -> str:
    quiet = f"{len(silent)} lines had nothing to measure. " if silent else ""
    return f"[dim]the last hour. {quiet}Live: imgpipe status --watch[/]"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def events(
    key: Annotated[
        str | None,
        typer.Argument(metavar="[KEY]", help="Who hears of an upload under this key?"),
    ] = None,
    bucket: Annotated[
        bool, typer.Option("--bucket", help="Every live rule of the uploads bucket.")
    ] = False,
    captured: Annotated[
        Path | None,
        typer.Option(
            "--decode",
            metavar="FILE",
            help="Read a captured event out, in any envelope; `-` reads standard input.",
            show_default=False,
        ),
    ] = None,
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """Show what S3 announces and to whom, as the bucket says it now; or read a captured event out.

    Exits 3 if nobody hears of KEY.
    """
    if sum((key is not None, bucket, captured is not None)) != 1:
        raise UsageError(
            "imgpipe events",
            "name a KEY, or --bucket, or --decode FILE",
            hint="imgpipe events --help",
        )
    if captured is not None:
        _decode(captured, json=json)
        return
    from imgpipe.operate import events as verb
    from imgpipe.operate.project import open_project

    project = open_project(file, env)
    found = verb.live(project)
    if key is None:
        render.print_json(found.as_json()) if json else _show_rules(found)
        return
    whole = verb.key_of(project, key, found)
    hearing = found.of(whole)
    if json:
        render.print_json({"key": whole, **hearing.as_json()})
    else:
        _show_rules(hearing, whole)
    if hearing.silent:
        raise PendingError(f"key {whole}", "no rule of its bucket is for it", hint="imgpipe plan")


def _decode(captured: Path, *, json: bool) -> None:
    from imgpipe.operate import events as verb

    told = verb.decode(sys.stdin.read() if str(captured) == "-" else captured.read_text())
    if json:
        render.print_json([each.as_json() for each in told])
        return
    for each in told:
        _show_event(each)


def _show_event(told: Told) -> None:
    render.out().print(f"[bold]{render.safe(' > '.join(told.envelopes))}[/]")
    if not told.changes:
        render.out().print("tells of no change")
    made = render.table("", "")
    made.show_header = False
    for change in told.changes:
        facts = (
            ("event", f"{change.name} ({change.kind})"),
            ("bucket", change.bucket),
            ("key", change.key),
            ("or perhaps", change.alternative_key),
            ("size", None if change.size is None else render.size(change.size)),
            ("version", change.version_id),
            ("etag", change.etag),
            ("sequencer", change.sequencer),
            ("at", change.at),
        )
        for name, value in facts:
            if value:
                made.add_row(name, render.safe(value))
    if told.changes:
        render.out().print(made)


def _show_rules(found: Live, key: str | None = None) -> None:
    render.out().print(f"bucket {render.safe(found.bucket)}", soft_wrap=True)
    if key is not None:
        render.out().print(f"key    {render.safe(key)}", soft_wrap=True)
    for rule in found.rules:
        facts = (
            ("of", _which(rule)),
            ("to", rule.target),
            ("heard by", "\n".join(rule.subscribers)),
            ("rule", rule.id),
        )
        _show_rule(_occasions(rule), facts, ours=rule.ours)
    for each in found.eventbridge or ():
        of, to = _which_of_bus(each), "\n".join(each.targets)
        facts = (("of", of), ("by", "EventBridge"), ("to", to), ("rule", each.name))
        _show_rule(_when(each.events), facts, ours=each.ours)
    if found.silent:
        render.out().print("nobody hears of it")


def _show_rule(title: str, facts: Sequence[tuple[str, str]], *, ours: bool) -> None:
    whose = "" if ours else "  [yellow]not this pipeline's[/]"
    render.out().print(f"\n[bold]{render.safe(title)}[/]{whose}")
    made = render.table("", "")
    made.show_header = False
    for name, value in facts:
        if value:
            made.add_row(name, "\n".join(map(render.safe, value.split("\n"))))
    render.out().print(made)


_OCCASIONS = {
    "ObjectCreated:*": "an object is created, in whatever way",
    "ObjectCreated:Put": "an object is put",
    "ObjectCreated:Post": "an object is posted by a form",
    "ObjectCreated:Copy": "an object is copied there",
    "ObjectCreated:CompleteMultipartUpload": "an object sent in parts is complete",
    "ObjectRemoved:*": "an object is removed",
    "ObjectRemoved:Delete": "a version is deleted for good",
    "ObjectRemoved:DeleteMarkerCreated": "an object is hidden by a delete marker",
    "LifecycleExpiration:*": "an object expires",
    "LifecycleExpiration:Delete": "a version expires",
    "LifecycleExpiration:DeleteMarkerCreated": "an object expires behind a delete marker",
    "ObjectRestore:*": "an archived object is restored",
    "ObjectRestore:Completed": "an archived object is back",
    "ObjectTagging:*": "tags change",
    "ObjectTagging:Put": "tags are set",
    "ObjectTagging:Delete": "tags are taken away",
    "Object Created": "an object is created, in whatever way",
    "Object Deleted": "an object is removed or expires",
    "Object Restore Completed": "an archived object is back",
    "Object Tags Added": "tags are set",
    "Object Tags Deleted": "tags are taken away",
}


def _occasions(rule: Heard) -> str:
    return _when([name.removeprefix("s3:") for name in rule.events])


def _when(names: Sequence[str]) -> str:
    if not names:
        return "whatever happens"
    return "when " + ", or ".join(_OCCASIONS.get(name, name) for name in names)


def _which(rule: Heard) -> str:
    parts = [
        f"keys that {verb} {value}"
        for verb, value in (("begin with", rule.prefix), ("end with", rule.suffix))
        if value
    ]
    return " and ".join(parts).replace(" and keys that", " and") or "every key"


def _which_of_bus(rule: BusRule) -> str:
    return ", or ".join(map(_test, rule.keys)) or "every key"


def _test(test: str | dict[str, Any]) -> str:
    match test:
        case {"prefix": str(begin)}:
            return f"keys that begin with {begin}"
        case {"suffix": str(end)}:
            return f"keys that end with {end}"
        case {"wildcard": str(form)}:
            return f"keys like {form}"
        case str():
            return f"the key {test}"
        case _:
            return f"keys that pass {test}"
