"""`up`, `plan`, `down`, `outputs`: put the pipeline up, look at what would change, take it down."""

from __future__ import annotations

import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgpipe import errors
from imgpipe.cli import asking, options, render

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from imgpipe.deploy.apply import Event
    from imgpipe.deploy.calls import Calls
    from imgpipe.deploy.plan import Action
    from imgpipe.operate.project import Project

PANEL = "Put up and take down"
FIRST = (
    "uploads_bucket",
    "variants_bucket",
    "table",
    "rejected_queue_url",
    "direct_upload_url",
    "endpoint",
)


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=PANEL)(up)
    app.command(rich_help_panel=PANEL)(plan)
    app.command(rich_help_panel=PANEL)(down)
    app.command(rich_help_panel=PANEL)(outputs)


Check = Annotated[bool, typer.Option("--check", help="Exit with 3 if anything would change.")]
DeleteData = Annotated[
    bool, typer.Option("--delete-data", help="Delete the photographs and the rows too.")
]
Name = Annotated[str | None, typer.Argument(metavar="NAME", help="Only this one.")]
Raw = Annotated[bool, typer.Option("--raw", help="Print the bare value, for scripts.")]


def up(
    yes: options.Yes = False,
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """Put the pipeline up, or bring it to what pipeline.yaml says: shows the plan, asks, applies it.

    In a script nobody can be asked: then only what deletes nothing on this machine is applied without --yes. With
    --json, the plan, how each action ended, and the names.
    """
    from imgpipe.cli.views import provision as view
    from imgpipe.deploy.plan import pending
    from imgpipe.operate import provision

    started = time.monotonic()
    project, calls = _open(file, env)
    actions = provision.plan(project)
    changes = pending(actions)
    if not changes:
        render.err().print(f"nothing to change: {len(actions)} resources are as declared")
        for _ in provision.up(project, actions, say=_say):  # may have versions to note
            pass
        if json:
            render.print_json(
                {"plan": view.as_json(actions), "ended": [], "outputs": _values(project)}
            )
        return
    render.err().print(view.plan(project, actions))
    _approve(project, changes, yes)
    with (
        _mendable("imgpipe up"),
        closing(provision.up(project, actions, say=_say)) as events,
        _noted(actions, events, lambda: _values(project), json=json) as told,
    ):
        done = view.follow(render.err(), project, actions, told)
    render.err().print(view.done_line("up", done, time.monotonic() - started, calls.total))
    if not json:
        view.outputs(render.out(), _first(_values(project)))
    _next_steps(project)


def plan(
    check: Check = False,
    json: options.Json = False,
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
) -> None:
    """Show what `up` would change, and why, and how many images have outputs of former settings. Changes nothing."""
    from imgpipe.cli.views import provision as view
    from imgpipe.deploy.plan import pending
    from imgpipe.operate import provision

    project, _ = _open(file, env)
    actions = provision.plan(project)
    if json:
        render.print_json({**view.as_json(actions), **_stale_json(project)})
    else:
        render.out().print(view.plan(project, actions))
        _cost(actions)
        _stale(project, pending=bool(pending(actions)))
    if check and pending(actions):
        raise typer.Exit(errors.PENDING)


def _cost(actions: Sequence[Action]) -> None:
    """Say what the plan does to the bill on AWS."""
    from imgpipe.cli.views import forecast as view
    from imgpipe.operate.forecast import change

    if difference := change.of(actions):
        render.out().print(view.change(difference))


def _stale(project: Project, *, pending: bool) -> None:
    """Say how many images have outputs of former settings. A table that can't be read now keeps nobody from a plan."""
    from imgpipe.cli.views import backfill as view
    from imgpipe.operate.backfill import stale

    try:
        found = stale.of(project)
    except errors.CloudError as error:
        render.err().print(f"[yellow]stale outputs aren't known[/]: {render.safe(error)}")
        return
    if found and found.estimate.images:
        for line in view.stale(found, pending=pending):
            render.out().print(line, soft_wrap=True)


def _stale_json(project: Project) -> dict[str, object]:
    from imgpipe.cli.views import backfill as view
    from imgpipe.operate.backfill import stale

    try:
        found = stale.of(project)
    except errors.CloudError:
        return {"stale": None}
    return {"stale": view.stale_json(found) if found else None}


def down(
    yes: options.Yes = False,
    delete_data: DeleteData = False,
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
    json: options.Json = False,
) -> None:
    """Take the pipeline down. Photographs and rows stay unless --delete-data.

    With --json, the plan and how each action ended.
    """
    from imgpipe.cli.views import provision as view
    from imgpipe.deploy.plan import pending
    from imgpipe.operate import provision

    started = time.monotonic()
    project, calls = _open(file, env)
    actions = provision.plan_down(project, delete_data=delete_data)
    changes = pending(actions)
    if changes:
        render.err().print(view.plan(project, actions))
        _approve(project, changes, yes)
        with (
            closing(provision.down(project, actions, delete_data=delete_data, say=_say)) as events,
            _noted(actions, events, None, json=json) as told,
        ):
            done = view.follow(render.err(), project, actions, told)
        render.err().print(view.done_line("down", done, time.monotonic() - started, calls.total))
    elif json:
        render.print_json({"plan": view.as_json(actions), "ended": []})
    _after_down(env, kept=[action for action in actions if not action.changes], any_=bool(changes))


def outputs(
    name: Name = None,
    raw: Raw = False,
    json: options.Json = False,
    env: options.Env = options.LOCAL,
    file: options.File = options.PIPELINE_FILE,
) -> None:
    """Print the names, URLs and ARNs of what is up: buckets, queues, topics, table, functions."""
    from imgpipe.cli.views import provision as view
    from imgpipe.operate import up
    from imgpipe.operate.project import open_project

    project = open_project(file, env)
    values = _values(project)
    if up.is_down(project):
        render.err().print(
            "[yellow]it is not up:[/] these are the names that `imgpipe up` will use"
        )
    if name is not None:
        values = {name: _one(values, name)}
    if json:
        render.print_json(values)
    elif raw:
        sys.stdout.write("".join(f"{value}\n" for value in values.values()))
    else:
        view.outputs(render.out(), values)


def _open(file: Path, env: str) -> tuple[Project, Calls]:
    """Open the project, its calls counted; start the embedded cloud if it is the one that is meant."""
    from imgpipe.operate import provision

    if env == options.LOCAL:
        from imgpipe.cli.local import ensure_started

        _check_file(file, env)
        ensure_started(file.resolve().parent)
    return provision.open_counted(file, env)


def _check_file(file: Path, env: str) -> None:
    """Refuse a missing or broken file before an embedded cloud is started beside it."""
    from imgpipe.deploy import spec

    spec.load(file, env)


def _approve(project: Project, changes: Sequence[Action], yes: bool) -> None:
    """Ask, unless told not to. Without a terminal only what deletes nothing on this machine goes unasked."""
    from imgpipe.deploy.plan import Verb

    deletes = any(action.verb is Verb.DELETE for action in changes)
    harmless = not deletes and project.graph.environment == options.LOCAL
    if not yes and (sys.stdin.isatty() or not harmless):
        question = "Delete these?" if all_deleted(changes) else "Apply this plan?"
        asking.confirm("the plan", question)


def all_deleted(changes: Sequence[Action]) -> bool:
    from imgpipe.deploy.plan import Verb

    return all(action.verb is Verb.DELETE for action in changes)


@contextmanager
def _noted(
    actions: Sequence[Action],
    events: Iterable[Event],
    names: Callable[[], dict[str, str]] | None,
    *,
    json: bool,
) -> Iterator[Iterable[Event]]:
    """Yield what happens; print it as JSON at the end, whichever way it ends, and `names` after a good one."""
    from imgpipe.cli.views import provision as view

    ends: list[dict[str, object]] = []
    told: dict[str, object] = {"plan": view.as_json(actions), "ended": ends}
    try:
        yield view.noting(events, ends)
        if json and names:
            told["outputs"] = names()
    finally:
        if json:
            render.print_json(told)


@contextmanager
def _mendable(again: str) -> Iterator[None]:
    """On Ctrl-C say what to run; what was begun has been finished by then."""
    try:
        yield
    except KeyboardInterrupt:
        render.err().print(f"[yellow]interrupted[/]: {again} goes on where it stopped")
        raise


def _say(text: str) -> None:
    render.err().print(render.safe(text))


def _values(project: Project) -> dict[str, str]:
    from imgpipe.deploy.names import URL_OUTPUT
    from imgpipe.operate.upload.direct import url

    place = project.graph.place
    values = {**project.graph.outputs(), "region": place.region, "account": place.account}
    endpoint = project.cloud.endpoint
    address = url(project)
    direct = {URL_OUTPUT: address} if address else {}
    if not endpoint:
        return {**values, **direct}
    aws, here = f"https://sqs.{place.region}.amazonaws.com/", f"{endpoint.rstrip('/')}/"
    there = {
        name: here + value.removeprefix(aws) if value.startswith(aws) else value
        for name, value in values.items()
    }
    return {**there, **direct, "endpoint": endpoint}


def _first(values: dict[str, str]) -> dict[str, str]:
    """Return what a person wants first; `imgpipe outputs` prints all."""
    return {name: values[name] for name in FIRST if name in values}


def _one(values: dict[str, str], name: str) -> str:
    from difflib import get_close_matches

    if name in values:
        return values[name]
    near = get_close_matches(name, values, 1)
    raise errors.UsageError(
        f"output {name}", "there is none", hint=f"imgpipe outputs {near[0] if near else ''}".strip()
    )


def _next_steps(project: Project) -> None:
    from imgpipe.operate import provision

    env = project.graph.environment
    option = "" if env == options.LOCAL else f" --env {env}"
    if waiting := provision.unconfirmed(project):
        where = " (imgpipe local mail)" if env == options.LOCAL else ""
        names = render.safe(", ".join(waiting))
        render.err().print(f"[yellow]to confirm[/] by e-mail{where}: {names}")
    render.next_step(
        f"imgpipe upload PHOTO --wait{option}, imgpipe status{option}, imgpipe outputs{option}"
    )


def _after_down(env: str, kept: Sequence[Action], any_: bool) -> None:
    from imgpipe.deploy.resources import ExistingBucket

    others = [one for one in kept if isinstance(one.resource, ExistingBucket)]
    ours = [one for one in kept if one not in others]
    if others:
        names = render.safe(", ".join(one.key.name for one in others))
        render.err().print(f"left: {names}, which was there before the pipeline, with all in it")
    if ours:
        render.err().print(f"kept: {render.safe(', '.join(one.key.name for one in ours))}")
        render.next_step("imgpipe down --delete-data takes them down too")
    else:
        render.err().print("nothing of it is left" if any_ else "nothing to take down")
    if env == options.LOCAL and not ours:
        render.next_step("imgpipe local stop")
